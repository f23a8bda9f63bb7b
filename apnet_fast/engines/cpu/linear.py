"""The linear layers over many rows at once, in pieces of one shape.

The first layer's weights are 268 MB: reading them pays only for many rows. Libraries change their order of summation
with the shape of their arguments, so every call has the same one whatever the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

# Rows and columns of one call: enough of both for full speed, few enough to give work to several threads.
ROWS = 128
COLUMNS = 256


class LinearLayers:
    """Features (n, inputs) to outputs (n, targets), ReLU between the layers; n a multiple of `ROWS`."""

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]]) -> None:
        (self._weight, self._bias), *self._others = layers

    @property
    def columns(self) -> range:
        """First column of each piece of the first layer."""
        return range(0, len(self._weight), COLUMNS)

    @property
    def width(self) -> int:
        """Outputs of the first layer."""
        return len(self._weight)

    @torch.inference_mode()
    def first(self, features: Tensor, column: int, out: Tensor) -> None:
        """A piece of the first layer: `ROWS` rows, `COLUMNS` columns from `column` on, before bias and ReLU."""
        piece = slice(column, column + COLUMNS)
        torch.mm(features, self._weight[piece].t(), out=out[:, piece])

    @torch.inference_mode()
    def rest(self, first: Tensor) -> Tensor:
        """What follows the first layer's products, for `ROWS` rows."""
        x = functional.relu_(first + self._bias) if self._others else first + self._bias
        for weight, bias in self._others[:-1]:
            x = functional.relu_(functional.linear(x, weight, bias))
        return functional.linear(x, *self._others[-1]) if self._others else x
