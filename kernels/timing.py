"""Time work on a device: the median of repeated runs, with rotated inputs."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

_WARM_UP, _REPEATS = 3, 15
# Kernels of 5 to 30 us are over before the next is launched: this many go into one graph.
_LAUNCHES = 20

Work = Callable[[int], object]


def seconds(work: Work, device: torch.device, repeats: int = _REPEATS, warm_up: int = _WARM_UP) -> float:
    """Return the median seconds of work(i). i counts up, so that the caller can rotate its inputs.

    The time includes launching: for single kernels use `kernel_seconds`.
    """
    for i in range(warm_up):
        work(i)
    if device.type != "cuda":
        times = []
        for i in range(repeats):
            start = time.perf_counter()
            work(i)
            times.append(time.perf_counter() - start)
        return median(times)
    with torch.cuda.device(device):
        pairs = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(repeats)]
        torch.cuda.synchronize(device)
        for i, (before, after) in enumerate(pairs):
            before.record()
            work(i)
            after.record()
        torch.cuda.synchronize(device)
        return median(before.elapsed_time(after) / 1e3 for before, after in pairs)


def kernel_seconds(work: Work, device: torch.device, repeats: int = _REPEATS, launches: int = _LAUNCHES) -> float:
    """Return the median seconds of work(i), launched many times by one CUDA graph, so that no launch is waited for.

    work must launch kernels and nothing else. On a CPU this is `seconds`.
    """
    if device.type != "cuda":
        return seconds(work, device, repeats)
    with torch.cuda.device(device):
        for i in range(_WARM_UP):
            work(i)
        torch.cuda.synchronize(device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            for i in range(launches):
                work(i)
        return seconds(lambda i: graph.replay(), device, repeats) / launches
