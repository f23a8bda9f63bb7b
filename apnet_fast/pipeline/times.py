"""Measure where the wall time of a run goes: how long each stage works and how long it waits for the others."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

Item = TypeVar("Item")

# Stages that run at the same time; the others (planning, resuming, loading, catalogues) run alone.
OVERLAPPING = ("reading", "engine", "writing")


@dataclass
class Timer:
    """The seconds of one stretch of work, known when it is over."""

    seconds: float = 0.0


def _seconds() -> defaultdict[str, float]:
    return defaultdict(float)


@dataclass
class StageTimes:
    """The seconds that each stage was busy or waiting, and the spectra that went through the engine.

    One thread times a stage. The seconds of several devices are added up.
    """

    busy: defaultdict[str, float] = field(default_factory=_seconds)
    waiting: defaultdict[str, float] = field(default_factory=_seconds)
    spectra: int = 0
    started: float = field(default_factory=time.perf_counter)

    @contextmanager
    def measure(self, stage: str) -> Iterator[Timer]:
        """Add the time of the block to the stage's work."""
        timer, start = Timer(), time.perf_counter()
        try:
            yield timer
        finally:
            timer.seconds = time.perf_counter() - start
            self.busy[stage] += timer.seconds

    @contextmanager
    def wait(self, stage: str) -> Iterator[None]:
        """Add the time of the block to the stage's waiting."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.waiting[stage] += time.perf_counter() - start

    def awaited(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items; add the time until each comes to the stage's waiting."""
        iterator = iter(items)
        while True:
            with self.wait(stage):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def taken(self) -> StageTimes:
        """Return what was counted since the last call, and forget it. For use while the stages go on."""
        other = StageTimes(started=self.started)
        for mine, theirs in ((self.busy, other.busy), (self.waiting, other.waiting)):
            for stage in list(mine):
                theirs[stage] = mine[stage]
                mine[stage] -= theirs[stage]
        other.spectra, self.spectra = self.spectra, 0
        return other

    def add(self, other: StageTimes) -> None:
        """Add the stages of another process."""
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
        """Spectra per second of wall time, everything counted; None if nothing was computed."""
        return self.spectra / self.wall if self.spectra else None

    def bound(self) -> str | None:
        """Return a line that names the slowest stage and how busy each was; None without spectra."""
        if not self.spectra:
            return None
        shares = {stage: self.busy[stage] / max(self.busy[stage] + self.waiting[stage], 1e-9) for stage in OVERLAPPING}
        slowest = max(shares, key=lambda stage: shares[stage])
        return f"{slowest} bounded this run: " + ", ".join(
            f"{stage} busy {share:.0%}" for stage, share in shares.items()
        )

    def as_dict(self) -> dict[str, dict[str, float]]:
        """Return the busy and waiting seconds of each stage."""
        stages = dict.fromkeys([*self.busy, *self.waiting])
        return {
            stage: {"busy": round(self.busy[stage], 3), "waiting": round(self.waiting[stage], 3)} for stage in stages
        }
