"""Results of a benchmark: named figures with units, and how rates and memory are measured."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """A figure; more is better. name: unique in its tier and the same in every run. more: other observations."""

    name: str
    value: float
    unit: str
    more: dict[str, object] = field(default_factory=dict)


def rates(work: Callable[[], int], repeats: int) -> float:
    """Return the median rate per second of `work`, which returns how many things it did. One call warms up."""
    work()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        done = work()
        found.append(done / (time.perf_counter() - start))
    return statistics.median(found)


def peak_mb() -> float:
    """Return the peak memory of this process so far in MB, libraries included."""
    try:
        # ru_maxrss would not do: on Linux a program inherits it from the one that started it.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes, on macOS
