"""Time work on a device: the median of repeated runs, with rotated inputs."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

_WARM_UP, _REPEATS = 3, 15


def seconds(work: Callable[[int], object], device: torch.device, repeats: int = _REPEATS) -> float:
    """Return the median seconds of work(i). i counts up, so that the caller can rotate its inputs."""
    for i in range(_WARM_UP):
        work(i)
    if device.type != "cuda":
        times = []
        for i in range(repeats):
            start = time.perf_counter()
            work(i)
            times.append(time.perf_counter() - start)
        return median(times)
    pairs = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(repeats)]
    torch.cuda.synchronize(device)
    for i, (before, after) in enumerate(pairs):
        before.record()
        work(i)
        after.record()
    torch.cuda.synchronize(device)
    return median(before.elapsed_time(after) / 1e3 for before, after in pairs)
