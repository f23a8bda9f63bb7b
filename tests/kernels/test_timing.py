"""Medians of repeated runs with rotating inputs."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.kernels import timing


def test_the_median_counts_and_the_warm_up_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 5.0, 10.0, 11.0, 20.0, 22.0])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(ticks))
    given: list[int] = []
    assert timing.seconds(given.append, torch.device("cpu"), repeats=3) == 2.0
    assert given == [0, 1, 2, 0, 1, 2]
