"""Where the wall time of a run goes: how long each stage works, and how long it waits for the others."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

Item = TypeVar("Item")

# The stages that run at the same time; the others (planning, loading, catalogues) run alone.
OVERLAPPING = ("reading", "engine", "writing")


@dataclass
class Timer:
    """Seconds of one stretch of work, known when it is over."""

    seconds: float = 0.0


def _seconds() -> defaultdict[str, float]:
    return defaultdict(float)


@dataclass
class StageTimes:
    """Seconds that each stage was busy and waiting, and the spectra that went through the engine.

    A stage is timed by one thread. Of several devices the seconds are added up.
    """

    busy: defaultdict[str, float] = field(default_factory=_seconds)
    waiting: defaultdict[str, float] = field(default_factory=_seconds)
    spectra: int = 0
    started: float = field(default_factory=time.perf_counter)

    @contextmanager
    def measure(self, stage: str) -> Iterator[Timer]:
        """Add the time of the block to a stage's work."""
        timer, start = Timer(), time.perf_counter()
        try:
            yield timer
        finally:
            timer.seconds = time.perf_counter() - start
            self.busy[stage] += timer.seconds

    @contextmanager
    def wait(self, stage: str) -> Iterator[None]:
        """Add the time of the block to what a stage waits."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.waiting[stage] += time.perf_counter() - start

    def awaited(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """The items; the time until each comes is added to what a stage waits."""
        iterator = iter(items)
        while True:
            with self.wait(stage):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def add(self, other: StageTimes) -> None:
        """Count another process's stages too."""
        for mine, theirs in ((self.busy, other.busy), (self.waiting, other.waiting)):
            for stage, seconds in theirs.items():
                mine[stage] += seconds
        self.spectra += other.spectra

    @property
    def wall(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self.started

    @property
    def rate(self) -> float | None:
        """Spectra a second of wall time, everything counted; None where nothing was computed."""
        return self.spectra / self.wall if self.spectra else None

    def bound(self) -> str | None:
        """The stage that the others waited for, and the share of the time each was busy; None without spectra."""
        if not self.spectra:
            return None
        shares = {stage: self.busy[stage] / max(self.busy[stage] + self.waiting[stage], 1e-9) for stage in OVERLAPPING}
        slowest = max(shares, key=lambda stage: shares[stage])
        return f"{slowest} bounded this run: " + ", ".join(
            f"{stage} busy {share:.0%}" for stage, share in shares.items()
        )

    def as_dict(self) -> dict[str, dict[str, float]]:
        """Seconds busy and waiting of each stage."""
        stages = dict.fromkeys([*self.busy, *self.waiting])
        return {
            stage: {"busy": round(self.busy[stage], 3), "waiting": round(self.waiting[stage], 3)} for stage in stages
        }
