"""Medians of repeated runs with rotating inputs."""

from __future__ import annotations

from contextlib import nullcontext

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


def test_many_launches_of_a_kernel_are_one_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    given: list[int] = []

    class Graph:
        def replay(self) -> None:
            log.append("replay")

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            log.append("record")

        def elapsed_time(self, other: object) -> float:
            return 8.0  # milliseconds

    fakes = {
        "CUDAGraph": Graph,
        "Event": Event,
        "device": lambda device: nullcontext(log.append(f"on {device}")),
        "graph": lambda graph, capture_error_mode: nullcontext(log.append(f"capture {capture_error_mode}")),
        "synchronize": lambda device: None,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    taken = timing.kernel_seconds(given.append, torch.device("cuda:1"), repeats=2, launches=4)
    assert taken == pytest.approx(8e-3 / 4)
    assert given == [0, 1, 2, 0, 1, 2, 3]  # the warm-up, and what the graph launches
    assert log[:2] == ["on cuda:1", "capture thread_local"]
    assert log[-6:] == ["record", "replay", "record"] * 2
