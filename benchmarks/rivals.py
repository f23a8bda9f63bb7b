"""Rivals of the GPU engine: the same recipe (dr19) and number of draws by other means, in torch alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.folding import FoldedV3, fold_v3
from apnet_fast.recipes import RECIPES, percentile_rank

_RECIPE = RECIPES["dr19"]


def upstream_loop(checkpoint: Checkpoint, device: torch.device) -> Callable[[np.ndarray, np.ndarray, int], Tensor]:
    """Return a function that runs one spectrum as the survey's code does.

    That is fp32, with noise and percentile on the CPU, one pass for the clean spectrum and one for all its draws.
    """
    network = checkpoint.module().to(device)

    def run(flux: np.ndarray, error: np.ndarray, draws: int) -> Tensor:
        clean = torch.from_numpy(flux)
        noisy = clean + torch.from_numpy(error) * torch.randn(draws, len(flux))
        rows = []
        for batch in (clean[None], noisy):
            x = torch.log(torch.clamp(batch, min=_RECIPE.floor))
            x = torch.minimum(x, torch.quantile(x, _RECIPE.quantile, dim=1, keepdim=True))
            with torch.inference_mode():
                rows.append(network(x[:, None].to(device)).cpu())
        return torch.cat(rows)

    return run


def preprocessed(flux: Tensor, error: Tensor, draws: int) -> Tensor:
    """Return network input (n * (1 + draws), pixels) for cleaned flux and error, float32 (n, pixels)."""
    rank = percentile_rank(flux.shape[1], _RECIPE.quantile)
    noisy = flux[:, None] + error[:, None] * torch.randn(len(flux), draws, flux.shape[1], device=flux.device)
    x = torch.cat([flux[:, None], noisy], dim=1).flatten(0, 1)
    x = torch.log(torch.clamp(x, min=_RECIPE.floor))
    return torch.minimum(x, x.kthvalue(rank.upper + 1, dim=1, keepdim=True).values)


class Batched(nn.Module):
    """The folded network over all draws of many spectra at once, by conv1d or by channels-last conv2d of height 1."""

    def __init__(
        self, checkpoint: Checkpoint, pixels: int, dtype: torch.dtype, *, two_dimensional: bool = False
    ) -> None:
        super().__init__()
        self.two_dimensional = two_dimensional
        folded: FoldedV3 = fold_v3(checkpoint, pixels)
        self.first, self.first_map = folded.first.weight.to(dtype), folded.first.bias.to(dtype)
        self.blocks = [
            [(self._filter(conv.weight.to(dtype)), conv.bias.to(dtype)) for conv in block] for block in folded.blocks
        ]
        self.linear = [(weight.to(dtype), bias.to(dtype)) for weight, bias in folded.linear]
        self.pool = folded.pool

    def to_device(self, device: torch.device) -> Batched:
        """Move the weights to the device."""
        self.first, self.first_map = self.first.to(device), self.first_map.to(device)
        self.blocks = [[(w.to(device), b.to(device)) for w, b in block] for block in self.blocks]
        self.linear = [(w.to(device), b.to(device)) for w, b in self.linear]
        return self

    def _filter(self, weight: Tensor) -> Tensor:
        if not self.two_dimensional:
            return weight
        return weight[:, :, None].contiguous(memory_format=torch.channels_last)

    def _conv(self, x: Tensor, weight: Tensor, bias: Tensor, pad: int) -> Tensor:
        if self.two_dimensional:
            return functional.conv2d(x, weight, bias, padding=(0, pad))
        return functional.conv1d(x, weight, bias, padding=pad)

    def forward(self, flux: Tensor, error: Tensor, draws: int) -> Tensor:
        """Turn cleaned flux and error (n, pixels), float32, on the device, into outputs (n * (1 + draws), 3)."""
        return self.network(preprocessed(flux, error, draws).to(self.first.dtype))

    def network(self, x: Tensor) -> Tensor:
        """Turn processed flux (rows, pixels) into outputs (rows, 3)."""
        x = functional.conv1d(x[:, None], self.first, padding=15) + self.first_map
        x = functional.max_pool1d(functional.elu(x), 2)
        if self.two_dimensional:
            x = x[:, :, None].contiguous(memory_format=torch.channels_last)
        for (w1, b1), (w2, b2) in self.blocks:
            y = self._conv(functional.elu(self._conv(x, w1, b1, 15)), w2, b2, 14)
            before = (y.shape[1] - x.shape[1]) // 2
            pads = (0,) * (2 * (y.dim() - 2)) + (before, y.shape[1] - x.shape[1] - before)
            x = functional.elu(y + functional.pad(x, pads))
        if self.two_dimensional:
            x = x[:, :, 0]
        x = functional.adaptive_avg_pool1d(x, self.pool).flatten(1)
        for weight, bias in self.linear[:-1]:
            x = functional.relu(functional.linear(x, weight, bias))
        return functional.linear(x, *self.linear[-1])
