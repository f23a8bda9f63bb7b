"""Run the convolutional part of the network on one thread: a row's processed flux in, pooled features out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from apnet_fast.engines.cpu import fftconv, stem
from apnet_fast.engines.cpu.fftconv import BEFORE, FREQUENCIES
from apnet_fast.engines.cpu.network import CpuNetwork, FilterBank
from apnet_fast.engines.cpu.vectors import lanes_of

# float32 values in a cache line, and in the least memory that numpy asks the system to map in huge pages.
_LINE, _HUGE = 16, 1 << 20


class Trunk:
    """Hold one thread's buffers and run the layers; every row has the same shapes, so the same bits."""

    def __init__(self, network: CpuNetwork) -> None:
        self._network = network
        banks = list(chain.from_iterable(network.convs))
        spectra = FREQUENCIES * 2 * network.blocks * 2
        sizes = {
            "scratch": fftconv.SCRATCH,
            "inputs": spectra * max(bank.inputs for bank in banks),
            "outputs": spectra * max(bank.outputs for bank in banks),
        }
        # Every layer has its own buffer, so that the zeros around its positions are written only once, here.
        widths = [network.stem_channels, *(bank.outputs for bank in banks)]
        memory = _in_one_piece([*sizes.values(), *(network.positions * width for width in widths)])
        self._scratch, inputs, outputs, *self._activations = memory
        self._inputs, self._outputs = _Spectra(inputs, network.blocks), _Spectra(outputs, network.blocks)

    def features(self, flux: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Write one row's pooled activations (pooled, channels), flattened, to `out`.

        flux: processed flux with `stem.FLUX_MARGIN` zeros before it and at least as many behind it.
        """
        network, buffers = self._network, self._activations
        stem.first_conv(
            lanes_of(stem.LANES),
            flux,
            network.stem_weight,
            network.taps,
            network.stem_map,
            network.map_width,
            network.stem_channels,
            buffers[0],
            BEFORE,
            network.length,
        )
        for i, (conv1, conv2) in enumerate(network.convs):
            x, middle, y = buffers[2 * i : 2 * i + 3]
            self._conv(conv1, x, middle, network.middle, x)
            self._conv(conv2, middle, y, network.length, x)
        channels = network.convs[-1][1].outputs
        stem.average_pool(buffers[-1], BEFORE, network.length, channels, network.pooled, out)

    def _conv(
        self,
        bank: FilterBank,
        x: NDArray[np.float32],
        y: NDArray[np.float32],
        length: int,
        residual: NDArray[np.float32],
    ) -> None:
        network = self._network
        x_spectra, x_values = self._inputs.of(bank.inputs)
        y_spectra, y_values = self._outputs.of(bank.outputs)
        blocks, step = network.blocks, network.outputs
        lanes = lanes_of(min(bank.inputs, stem.LANES))
        fftconv.forward(lanes, x, bank.inputs, BEFORE - bank.pad, blocks, step, x_values, self._scratch)
        torch.bmm(x_spectra, bank.spectra, out=y_spectra)
        fftconv.inverse(
            lanes_of(bank.lanes),
            y_values,
            bank.outputs,
            blocks,
            step,
            bank.bias,
            y,
            BEFORE,
            length,
            residual,
            bank.residual,
            self._scratch,
        )


def _in_one_piece(sizes: Sequence[int]) -> list[NDArray[np.float32]]:
    """Return arrays of zeros of these sizes in one piece of memory, each starting at a cache line.

    Transforms step through it in strides of many kB. The system maps one large piece in huge pages, so that not every
    step needs its own address translation.
    """
    padded = [-(-size // _LINE) * _LINE for size in sizes]
    memory = np.zeros(max(sum(padded), _HUGE) + _LINE, dtype=np.float32)
    start = -memory.ctypes.data // memory.itemsize % _LINE
    starts = start + np.cumsum([0, *padded[:-1]])
    return [memory[first : first + size] for first, size in zip(starts, sizes, strict=True)]


class _Spectra:
    """Hold memory for block spectra (65, rows, 2 channels) with any number of channels, as a tensor and an array."""

    def __init__(self, memory: NDArray[np.float32], blocks: int) -> None:
        # Start with zeros, because rows that frequencies 0 and 64 do not use are multiplied like all others.
        self._memory, self._rows = memory, 2 * blocks
        self._views: dict[int, tuple[Tensor, NDArray[np.float32]]] = {}

    def of(self, channels: int) -> tuple[Tensor, NDArray[np.float32]]:
        if channels not in self._views:
            used = self._memory[: FREQUENCIES * self._rows * 2 * channels]
            self._views[channels] = torch.from_numpy(used).view(FREQUENCIES, self._rows, 2 * channels), used
        return self._views[channels]
