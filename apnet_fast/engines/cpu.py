"""The CPU engine: fp32, BatchNorm folded, inference mode, linear layers over many draws at once.

Its calls into torch always have the same shapes: the convs take the rows of one spectrum,
the linear layers a fixed number of rows. Library kernels change their order of summation with
the shape, so this is what keeps a result independent of the batch it came in.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from apnet_fast.engines.base import Engine
from apnet_fast.engines.reference import process, realisations
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.folding import FoldedConv, FoldedV3, fold_v3
from apnet_fast.philox import normals
from apnet_fast.recipes import Predictions, Recipe

# Rows of one call of the linear layers: enough to amortise reading the 268 MB of the first one's weights.
LINEAR_ROWS = 128


class CpuEngine(Engine):
    """Folded convs a spectrum at a time, linear layers on fixed tiles of `LINEAR_ROWS` rows."""

    name: ClassVar[str] = "cpu"

    def __init__(self, checkpoint: Checkpoint, recipe: Recipe, *, device: str = "cpu", precision: str = "fp32") -> None:
        super().__init__(checkpoint, recipe, device=device, precision=precision)
        self._folded: dict[int, FoldedV3] = {}

    @torch.inference_mode()
    def _predict(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
    ) -> Predictions:
        n, pixels = flux.shape
        rows = 1 + draws
        network = self._network(pixels)
        targets = len(self.checkpoint.scaling.names)
        outputs = torch.empty(n * rows, targets)
        tile = _LinearTile(network, outputs)
        for i in range(n):
            noise = torch.from_numpy(normals(keys[i : i + 1], draws, pixels)[0])
            spectrum = realisations(torch.from_numpy(flux[i]), torch.from_numpy(error[i]), noise)
            tile.add(convolve(process(spectrum, self.recipe), network))
        tile.flush()
        labels = self.checkpoint.scaling.unscale(outputs).numpy().reshape(n, rows, targets)
        return Predictions(clean=labels[:, 0], draws=labels[:, 1:])

    def _network(self, pixels: int) -> FoldedV3:
        if pixels not in self._folded:
            self._folded[pixels] = _as_float32(fold_v3(self.checkpoint, pixels))
        return self._folded[pixels]


def convolve(log_flux: Tensor, network: FoldedV3) -> Tensor:
    """Stem, residual blocks and pooling: (rows, pixels) to (rows, channels * pooled length), channel-major."""
    first = network.first
    x = functional.conv1d(log_flux[:, None, :], first.weight, padding=first.weight.shape[-1] // 2)
    x = functional.max_pool1d(functional.elu_(x.add_(first.bias)), 2)
    for conv1, conv2 in network.blocks:
        kernel = conv1.weight.shape[-1]
        y = functional.elu_(functional.conv1d(x, conv1.weight, conv1.bias, padding=kernel // 2))
        y = functional.conv1d(y, conv2.weight, conv2.bias, padding=(kernel - 1) // 2)
        before = (y.shape[1] - x.shape[1]) // 2
        y[:, before : before + x.shape[1]].add_(x)
        x = functional.elu_(y)
    return functional.adaptive_avg_pool1d(x, network.pool).flatten(1)


class _LinearTile:
    """Collects feature rows and runs the linear layers whenever `LINEAR_ROWS` of them are there."""

    def __init__(self, network: FoldedV3, outputs: Tensor) -> None:
        self._linear = network.linear
        self._outputs = outputs
        self._features = torch.zeros(LINEAR_ROWS, network.linear[0][0].shape[1])
        self._filled = 0
        self._done = 0

    def add(self, features: Tensor) -> None:
        while len(features):
            taken = features[: LINEAR_ROWS - self._filled]
            self._features[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            features = features[len(taken) :]
            if self._filled == LINEAR_ROWS:
                self.flush()

    def flush(self) -> None:
        x = self._features
        for weight, bias in self._linear[:-1]:
            x = functional.relu_(functional.linear(x, weight, bias))
        weight, bias = self._linear[-1]
        x = functional.linear(x, weight, bias)
        self._outputs[self._done : self._done + self._filled] = x[: self._filled]
        self._done += self._filled
        self._filled = 0


def _as_float32(network: FoldedV3) -> FoldedV3:
    def convert(conv: FoldedConv) -> FoldedConv:
        return FoldedConv(conv.weight.float(), conv.bias.float())

    return FoldedV3(
        first=convert(network.first),
        blocks=tuple((convert(a), convert(b)) for a, b in network.blocks),
        linear=tuple((weight.float(), bias.float()) for weight, bias in network.linear),
        pool=network.pool,
    )
