"""The convolutional part of the network on one thread: processed flux of a row in, pooled features out."""

from __future__ import annotations

from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from apnet_fast.engines.cpu import fftconv, stem
from apnet_fast.engines.cpu.fftconv import BEFORE, FREQUENCIES
from apnet_fast.engines.cpu.network import CpuNetwork, FilterBank
from apnet_fast.engines.cpu.vectors import lanes_of


class Trunk:
    """Buffers of one thread and the layers over them; every row meets the same shapes, so the same bits."""

    def __init__(self, network: CpuNetwork) -> None:
        self._network = network
        widths = [network.stem_channels, *(bank.outputs for bank in chain.from_iterable(network.convs))]
        # A buffer of its own for every layer: the zeros around its positions are written once, here.
        self._activations = [np.zeros(network.positions * width, dtype=np.float32) for width in widths]
        self._scratch = np.empty(fftconv.SCRATCH, dtype=np.float32)
        banks = list(chain.from_iterable(network.convs))
        rows = 2 * network.blocks
        self._inputs = _Spectra(rows, max(bank.inputs for bank in banks))
        self._outputs = _Spectra(rows, max(bank.outputs for bank in banks))

    def features(self, flux: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Pooled activations (pooled, channels), flattened, of one row to `out`.

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


class _Spectra:
    """Memory for block spectra (65, rows, 2 channels) of up to so many channels, as a tensor and as an array."""

    def __init__(self, rows: int, channels: int) -> None:
        self._rows = rows
        # Zeros: rows that frequencies 0 and 64 do not use are multiplied like all others.
        self._memory = torch.zeros(FREQUENCIES * rows * 2 * channels)
        self._views: dict[int, tuple[Tensor, NDArray[np.float32]]] = {}

    def of(self, channels: int) -> tuple[Tensor, NDArray[np.float32]]:
        if channels not in self._views:
            used = self._memory[: FREQUENCIES * self._rows * 2 * channels]
            self._views[channels] = used.view(FREQUENCIES, self._rows, 2 * channels), used.numpy()
        return self._views[channels]
