"""Where the wall time of a run goes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Timer:
    """Seconds of one stretch of work, known when it is over."""

    seconds: float = 0.0


@dataclass
class StageTimes:
    """Wall seconds of each stage of a run, and the spectra that went through the engine in that time."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    spectra: int = 0

    @contextmanager
    def measure(self, stage: str) -> Iterator[Timer]:
        """Add the time of the block to a stage."""
        timer, start = Timer(), time.perf_counter()
        try:
            yield timer
        finally:
            timer.seconds = time.perf_counter() - start
            self.seconds[stage] += timer.seconds

    @property
    def rate(self) -> float | None:
        """Spectra a second over all stages together; None where nothing was computed."""
        wall = sum(self.seconds.values())
        return self.spectra / wall if self.spectra and wall else None
