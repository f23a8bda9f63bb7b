"""Rates are medians after a warm-up, and memory is this process's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import results
from benchmarks.results import peak_mb, rates


def test_a_rate_is_the_median_of_the_runs_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    # Three timed runs of 6 things in 2, 1 and 3 seconds.
    ticks = iter([0.0, 2.0, 10.0, 11.0, 20.0, 23.0])
    monkeypatch.setattr(results.time, "perf_counter", lambda: next(ticks))
    calls: list[int] = []

    def work() -> int:
        calls.append(1)
        return 6

    assert rates(work, 3) == 3.0
    assert len(calls) == 4


def test_memory_is_that_of_the_process_alone() -> None:
    ballast = np.ones(40_000_000)  # 320 MB, which a program started from here must not count as its own
    assert ballast.all()
    assert peak_mb() > 320
    words = [sys.executable, "-c", "from benchmarks.results import peak_mb; print(peak_mb())"]
    said = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[2]).stdout
    assert 5 < float(said) < 100
