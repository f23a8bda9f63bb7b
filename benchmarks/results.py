"""What a tier measures: one figure, by name, with its unit."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field


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
