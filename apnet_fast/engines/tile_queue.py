"""Tiles in flight on a device: spectra come in any number, whole tiles are launched, results are collected later.

Spectra of one submission and the next share a tile, so that tiles are full whatever the batches. A tile that is not
full is launched only if its results are asked for. Its results do not depend on what else is in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from apnet_fast.kernels.stem import pitch_of

# Tiles on their way at once: one comes in, one computes, one goes out.
_IN_FLIGHT = 3
# Entering a capture, torch empties its caches of every device, which it refuses while another thread captures.
_capturing = Lock()


class Network(Protocol):
    """What a queue needs of `TileNetwork`."""

    device: torch.device
    pixels: int
    draws: int
    spectra: int

    def compute(self, flux: Tensor, error: Tensor, keys: Tensor, outputs: Tensor, spectra: int) -> None:
        """See `TileNetwork.compute`."""


@dataclass
class Ticket:
    """Results of one submission: network outputs float32 (n, 1 + draws, 3), whole once nothing is missing."""

    outputs: NDArray[np.float32]
    missing: int


@dataclass
class _Slot:
    """Buffers of one tile: on the host (pinned, for a GPU), on the device, and its captured graph.

    parts: which rows of which ticket the tile computes, in order.
    """

    host_flux: Tensor
    host_error: Tensor
    host_keys: Tensor
    host_outputs: Tensor
    flux: Tensor
    error: Tensor
    keys: Tensor
    outputs: Tensor
    graph: torch.cuda.CUDAGraph | None = None
    done: torch.cuda.Event | None = None
    spectra: int = 0
    parts: list[tuple[Ticket, slice]] = field(default_factory=list)


def on(device: torch.device) -> AbstractContextManager[object]:
    """Make a GPU the current one, since kernels launch on that; nothing for a CPU."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def empty_caches() -> None:
    """Give the memory that torch caches back to the devices, once no thread captures a graph."""
    with _capturing:
        torch.cuda.empty_cache()


class TileQueue:
    """Feeds a network with tiles. launches, places and spectra count what went through it."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.on_gpu = network.device.type == "cuda"
        self.launches = self.places = self.spectra = 0
        self._slots = [self._slot() for _ in range(_IN_FLIGHT if self.on_gpu else 1)]
        self._free = deque(self._slots)
        self._flying: deque[_Slot] = deque()
        self._open: _Slot | None = None
        if self.on_gpu:
            self._prepare()

    def _slot(self) -> _Slot:
        network = self.network

        def pair(*shape: int, kind: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
            """Make a buffer on the host and its like on the device."""
            host = torch.zeros(shape, dtype=kind, pin_memory=self.on_gpu)
            return host, torch.zeros(shape, dtype=kind, device=network.device)

        host_flux, flux = pair(network.spectra, pitch_of(network.pixels))
        host_error, error = pair(network.spectra, pitch_of(network.pixels))
        host_keys, keys = pair(network.spectra, kind=torch.uint64)
        host_outputs, outputs = pair(network.spectra, 1 + network.draws, 3)
        return _Slot(host_flux, host_error, host_keys, host_outputs, flux, error, keys, outputs)

    def _prepare(self) -> None:
        """Make the streams and capture a graph for each slot."""
        device = self.network.device
        with _capturing, on(device):
            # In and out apart: the next tile comes in while this one computes.
            self._copies_in = torch.cuda.Stream(device)
            self._copies_out = torch.cuda.Stream(device)
            self._compute = torch.cuda.Stream(device)
            # Weights were loaded and buffers zeroed on the current stream.
            for stream in (self._copies_in, self._compute):
                stream.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(self._compute):
                for slot in self._slots:
                    self._run(slot, self.network.spectra)  # compiles every kernel
                    self._compute.synchronize()
                    slot.graph = torch.cuda.CUDAGraph()
                    # Other threads may use their devices meanwhile.
                    with torch.cuda.graph(slot.graph, stream=self._compute, capture_error_mode="thread_local"):
                        self._run(slot, self.network.spectra)
                    # A blocking event sleeps: a thread that spins would take a core that readers need.
                    slot.done = torch.cuda.Event(blocking=True)

    def _run(self, slot: _Slot, spectra: int) -> None:
        self.network.compute(slot.flux, slot.error, slot.keys, slot.outputs, spectra)

    def submit(self, flux: NDArray[np.float32], error: NDArray[np.float32], keys: NDArray[np.uint64]) -> Ticket:
        """Copy spectra into tiles and launch those that become full. Waits only if all tiles are in flight."""
        ticket = Ticket(np.empty((len(flux), 1 + self.network.draws, 3), np.float32), len(flux))
        start = 0
        while start < len(flux):
            slot = self._open_slot()
            stop = min(len(flux), start + self.network.spectra - slot.spectra)
            rows, part = slice(slot.spectra, slot.spectra + stop - start), slice(start, stop)
            slot.host_flux[rows, : self.network.pixels] = torch.from_numpy(np.ascontiguousarray(flux[part]))
            slot.host_error[rows, : self.network.pixels] = torch.from_numpy(np.ascontiguousarray(error[part]))
            slot.host_keys[rows] = torch.from_numpy(np.ascontiguousarray(keys[part]))
            slot.parts.append((ticket, part))
            slot.spectra = rows.stop
            start = stop
            if slot.spectra == self.network.spectra:
                self._launch()
        return ticket

    def collect(self, ticket: Ticket) -> NDArray[np.float32]:
        """Wait until a submission is computed and return its outputs; launches a tile that is not full if need be."""
        while ticket.missing:
            if not self._flying:
                self._launch()
            self._land()
        return ticket.outputs

    def _open_slot(self) -> _Slot:
        if self._open is None:
            if not self._free:
                self._land()
            self._open = self._free.popleft()
            self._open.spectra, self._open.parts = 0, []
        return self._open

    def _launch(self) -> None:
        slot, self._open = self._open, None
        assert slot is not None
        self.launches += 1
        self.places += self.network.spectra
        self.spectra += slot.spectra
        self._flying.append(slot)
        if not self.on_gpu:
            self._copy_in(slot)
            self._run(slot, slot.spectra)
            slot.host_outputs.copy_(slot.outputs)
            return
        assert slot.graph is not None
        assert slot.done is not None
        with on(self.network.device):
            with torch.cuda.stream(self._copies_in):
                self._copy_in(slot)
            self._compute.wait_stream(self._copies_in)
            with torch.cuda.stream(self._compute):
                slot.graph.replay()
            self._copies_out.wait_stream(self._compute)
            with torch.cuda.stream(self._copies_out):
                slot.host_outputs.copy_(slot.outputs, non_blocking=True)
                slot.done.record(self._copies_out)

    def _copy_in(self, slot: _Slot) -> None:
        slot.flux.copy_(slot.host_flux, non_blocking=True)
        slot.error.copy_(slot.host_error, non_blocking=True)
        slot.keys.copy_(slot.host_keys, non_blocking=True)

    def _land(self) -> None:
        """Wait for the oldest tile in flight and hand its outputs to their tickets."""
        slot = self._flying.popleft()
        if slot.done is not None:
            slot.done.synchronize()
        outputs, start = slot.host_outputs.numpy(), 0
        for ticket, part in slot.parts:
            count = part.stop - part.start
            ticket.outputs[part] = outputs[start : start + count]
            ticket.missing -= count
            start += count
        slot.parts = []
        self._free.append(slot)

    def seconds_per_spectrum(self, measure: Callable[[Callable[[int], object]], float]) -> float:
        """Return seconds per spectrum with everything on the device; measure(work) gives the seconds of work(i).

        The spectra are noise around a level: the time does not depend on them.
        """
        with on(self.network.device):
            self._fill_with_noise()
            return measure(self._replay) / self.network.spectra

    def _fill_with_noise(self) -> None:
        generator, n = np.random.default_rng(0), self.network.spectra
        for slot in self._slots:
            slot.host_flux.copy_(torch.from_numpy(generator.normal(500, 50, slot.host_flux.shape)))
            slot.host_error.fill_(5)
            slot.host_keys.copy_(torch.from_numpy(generator.integers(0, 2**63, n).astype(np.uint64)))
            self._copy_in(slot)
        if self.on_gpu:
            torch.cuda.synchronize(self.network.device)

    def _replay(self, number: int) -> None:
        slot = self._slots[number % len(self._slots)]
        if slot.graph is not None:
            slot.graph.replay()
        else:
            self._run(slot, self.network.spectra)
