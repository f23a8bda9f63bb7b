"""Run the linear layers over many rows at once, in pieces of one shape.

The first layer's weights are 268 MB, and reading them pays only for many rows. Libraries change their order of
summation with the shape of their arguments, so every call has the same shape whatever the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

# Rows and columns per call: enough of both for full speed, few enough to give work to several threads.
ROWS = 128
COLUMNS = 256


class LinearLayers:
    """Map features (n, inputs) to outputs (n, targets), with ReLU between the layers; n is a multiple of `ROWS`."""

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]]) -> None:
        (self._weight, self._bias), *self._others = layers

    @property
    def columns(self) -> range:
        """Return the first column of each piece of the first layer."""
        return range(0, len(self._weight), COLUMNS)

    @property
    def width(self) -> int:
        """Return the number of outputs of the first layer."""
        return len(self._weight)

    @torch.inference_mode()
    def first(self, features: Tensor, column: int, out: Tensor) -> None:
        """Compute a piece of the first layer before bias and ReLU: `ROWS` rows, `COLUMNS` columns from `column` on."""
        piece = slice(column, column + COLUMNS)
        torch.mm(features, self._weight[piece].t(), out=out[:, piece])

    @torch.inference_mode()
    def rest(self, first: Tensor) -> Tensor:
        """Compute what follows the first layer's products, for `ROWS` rows."""
        x = functional.relu_(first + self._bias) if self._others else first + self._bias
        for weight, bias in self._others[:-1]:
            x = functional.relu_(functional.linear(x, weight, bias))
        return functional.linear(x, *self._others[-1]) if self._others else x
