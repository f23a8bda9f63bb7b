"""What a benchmark measures: figures by name, with their units; rates and memory."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """A figure: more is better. name: unique within its tier, equal from run to run. more: what else was seen."""

    name: str
    value: float
    unit: str
    more: dict[str, object] = field(default_factory=dict)


def rates(work: Callable[[], int], repeats: int) -> float:
    """Median things a second: `work` does some and returns how many; called once before, to warm up."""
    work()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        done = work()
        found.append(done / (time.perf_counter() - start))
    return statistics.median(found)


def peak_mb() -> float:
    """The most memory this process has had so far, libraries included."""
    try:
        # Not ru_maxrss: on Linux a program begins with that of the one that started it.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes, on macOS
