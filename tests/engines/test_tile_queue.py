"""Tiles are full whatever the batches; streams, events and capture are in order, by fakes of a GPU."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.engines.tile_queue import TileQueue, empty_caches

TILE, PIXELS, DRAWS = 4, 100, 2


class FakeNetwork:
    """Outputs are the first pixel plus the number of the row, and tell which spectrum they are of."""

    def __init__(self, device: str = "cpu") -> None:
        self.device, self.pixels, self.draws, self.spectra = torch.device(device), PIXELS, DRAWS, TILE

    def compute(self, flux: Tensor, error: Tensor, keys: Tensor, outputs: Tensor, spectra: int) -> None:
        rows = torch.arange(1 + DRAWS, dtype=torch.float32)
        value = flux[:, 0] + error[:, 0] + keys.to(torch.float32)
        outputs.copy_((value[:, None] + rows)[:, :, None].expand(-1, -1, 3))


def spectra(first: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    numbers = np.arange(first, first + n)
    flux = np.repeat(numbers[:, None], PIXELS, axis=1).astype(np.float32)
    return flux, 10 * flux, (100 * numbers).astype(np.uint64)


def expected(first: int, n: int) -> np.ndarray:
    value = 111 * np.arange(first, first + n)[:, None] + np.arange(1 + DRAWS)
    return np.repeat(value[:, :, None], 3, axis=2).astype(np.float32)


def test_batches_share_tiles() -> None:
    queue = TileQueue(FakeNetwork())
    sizes = [5, 3, 0, 7, 1, 12]
    starts = np.cumsum([0, *sizes])
    tickets = [queue.submit(*spectra(start, n)) for start, n in zip(starts, sizes, strict=False)]
    assert queue.launches == sum(sizes) // TILE
    for ticket, start, n in zip(tickets, starts, sizes, strict=False):
        np.testing.assert_array_equal(queue.collect(ticket), expected(start, n))
    assert queue.places == TILE * queue.launches
    assert (queue.launches, queue.spectra) == (7, 28)


def test_only_what_is_asked_for_is_launched_before_it_is_full() -> None:
    queue = TileQueue(FakeNetwork())
    first, second = queue.submit(*spectra(0, 3)), queue.submit(*spectra(3, 3))
    assert queue.launches == 1
    np.testing.assert_array_equal(queue.collect(first), expected(0, 3))
    assert queue.launches == 1
    np.testing.assert_array_equal(queue.collect(second), expected(3, 3))
    assert (queue.launches, queue.places, queue.spectra) == (2, 8, 6)


def test_results_may_be_collected_in_any_order() -> None:
    queue = TileQueue(FakeNetwork())
    tickets = [queue.submit(*spectra(5 * i, 5)) for i in range(4)]
    for i in (2, 0, 3, 1):
        np.testing.assert_array_equal(queue.collect(tickets[i]), expected(5 * i, 5))


class FakeGpu:
    """Records what is asked of torch.cuda, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.capturing, self.most_capturing = 0, 0
        gpu, current, made = self, ["default"], []

        class Stream:
            def __init__(self, device: object) -> None:
                self.name = ("copies in", "copies out", "compute")[len(made) % 3]
                made.append(self)

            def wait_stream(self, other: object) -> None:
                gpu.log.append(f"{self.name} waits for {other.name}")  # type: ignore[attr-defined]

            def synchronize(self) -> None:
                gpu.log.append(f"synchronize {self.name}")

        class Event:
            def __init__(self, blocking: bool = False) -> None:
                gpu.log.append(f"event, blocking {blocking}")

            def record(self, stream: Stream) -> None:
                gpu.log.append(f"record on {stream.name}")

            def synchronize(self) -> None:
                gpu.log.append("wait for event")

        class Graph:
            def replay(self) -> None:
                gpu.log.append(f"replay on {current[-1]}")

        @contextmanager
        def stream(stream: Stream) -> Iterator[None]:
            current.append(stream.name)
            yield
            current.pop()

        @contextmanager
        def graph(graph: Graph, stream: Stream, capture_error_mode: str) -> Iterator[None]:
            gpu.log.append(f"capture on {stream.name}, {capture_error_mode}")
            gpu.capturing += 1
            gpu.most_capturing = max(gpu.most_capturing, gpu.capturing)
            time.sleep(0.002)
            yield
            gpu.capturing -= 1

        @contextmanager
        def device(device: torch.device) -> Iterator[None]:
            gpu.log.append(f"on {device}")
            yield

        fakes = {"Stream": Stream, "Event": Event, "CUDAGraph": Graph, "stream": stream, "graph": graph}
        for name, fake in {**fakes, "device": device}.items():
            monkeypatch.setattr(torch.cuda, name, fake)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(name="the loading stream"))
        # Buffers lie on the CPU, in place of pinned memory and a GPU.
        zeros = torch.zeros

        def on_cpu(shape: object, dtype: torch.dtype, device: object = None, pin_memory: bool = False) -> Tensor:
            return zeros(shape, dtype=dtype)

        monkeypatch.setattr(torch, "zeros", on_cpu)


def test_nothing_is_computed_before_weights_and_buffers_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGpu(monkeypatch)
    TileQueue(FakeNetwork("cuda:1"))
    assert gpu.log[0] == "on cuda:1"
    captures = [i for i, entry in enumerate(gpu.log) if entry.startswith("capture")]
    for stream in ("copies in", "compute"):
        assert gpu.log.index(f"{stream} waits for the loading stream") < captures[0]
    assert {gpu.log[i] for i in captures} == {"capture on compute, thread_local"}


def test_a_tile_is_copied_in_computed_and_copied_out_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGpu(monkeypatch)
    queue = TileQueue(FakeNetwork("cuda:1"))
    gpu.log.clear()
    ticket = queue.submit(*spectra(0, TILE))
    assert gpu.log == [
        "on cuda:1",
        "compute waits for copies in",
        "replay on compute",
        "copies out waits for compute",
        "record on copies out",
    ]
    queue.collect(ticket)
    assert gpu.log[-1] == "wait for event"


def test_waiting_for_a_tile_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGpu(monkeypatch)
    TileQueue(FakeNetwork("cuda:0"))
    assert {entry for entry in gpu.log if entry.startswith("event")} == {"event, blocking True"}


def test_several_tiles_are_in_flight_before_one_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGpu(monkeypatch)
    queue = TileQueue(FakeNetwork("cuda:0"))
    gpu.log.clear()
    queue.submit(*spectra(0, 3 * TILE))
    assert gpu.log.count("replay on compute") == 3
    assert "wait for event" not in gpu.log
    queue.submit(*spectra(0, 1))
    assert gpu.log.count("wait for event") == 1


def test_threads_capture_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGpu(monkeypatch)
    threads = [threading.Thread(target=TileQueue, args=(FakeNetwork(f"cuda:{i}"),)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(entry.startswith("capture") for entry in gpu.log) == 9
    assert gpu.most_capturing == 1


def test_no_cache_is_emptied_while_a_thread_captures(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGpu(monkeypatch)
    capturing: list[int] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: capturing.append(gpu.capturing))
    threads = [threading.Thread(target=TileQueue, args=(FakeNetwork(f"cuda:{i}"),)) for i in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        empty_caches()
    for thread in threads:
        thread.join()
    empty_caches()
    assert set(capturing) == {0}
