"""Compute a recipe in plain torch, one spectrum at a time, short enough to check by eye.

Fast engines are held to this one. `fp64` is the truth; `fp32` is what the upstream code computes.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from apnet_fast.engines.base import Engine, check_gpu
from apnet_fast.engines.full_fp32 import full_fp32
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import Predictions, Recipe, percentile_rank
from apnet_fast.recipes.noise import normals


def percentile(values: Tensor, quantile: float) -> Tensor:
    """Return the linearly interpolated quantile over the last axis, kept with length 1, as torch.quantile computes it.

    The rank is float32 in every precision, so that float64 has the same definition.
    """
    rank = percentile_rank(values.shape[-1], quantile)
    ordered = values.sort(dim=-1).values
    low, high = ordered[..., rank.lower, None], ordered[..., rank.upper, None]
    return torch.lerp(low, high, torch.tensor(rank.fraction, dtype=values.dtype, device=values.device))


def process(flux: Tensor, recipe: Recipe) -> Tensor:
    """Apply floor, natural log and clip, if the recipe has them: flux (rows, pixels) to network input, same shape.

    Row 0 is the clean spectrum and has its own percentile. The draws have one each, or share one, as the recipe
    defines.
    """
    if not recipe.log_flux:
        return flux
    log_flux = torch.log(torch.clamp(flux, min=recipe.floor))
    if recipe.percentile_over == "spectrum" and len(log_flux) > 1:
        clean_limit = percentile(log_flux[:1], recipe.quantile)
        draws_limit = percentile(log_flux[1:].flatten(), recipe.quantile)
        limit = torch.cat([clean_limit, draws_limit.expand(len(log_flux) - 1, 1)])
    else:
        limit = percentile(log_flux, recipe.quantile)
    return torch.minimum(log_flux, limit + recipe.clip)


def realisations(flux: Tensor, error: Tensor, noise: Tensor) -> Tensor:
    """Return the spectrum, then flux + error * noise: (pixels,), (pixels,), (draws, pixels) to (1 + draws, pixels)."""
    return torch.cat([flux[None], flux + error * noise])


class ReferenceEngine(Engine):
    """Run plain torch on any torch device, without batching over spectra."""

    name: ClassVar[str] = "reference"
    networks: ClassVar[tuple[str, ...]] = ("v3", "v2", "v1")
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "fp64")
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")

    def __init__(self, checkpoint: Checkpoint, recipe: Recipe, *, device: str = "cpu", precision: str = "fp32") -> None:
        super().__init__(checkpoint, recipe, device=device, precision=precision)
        self.dtype = torch.float64 if precision == "fp64" else torch.float32
        self.network = checkpoint.module(self.dtype).to(device)

    def _predict(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
        metadata: NDArray[np.float32] | None,
    ) -> Predictions:
        labels = np.empty((len(flux), 1 + draws, 3), dtype=torch.empty(0, dtype=self.dtype).numpy().dtype)
        for i in range(len(flux)):
            noise = normals(keys[i : i + 1], draws, flux.shape[1])[0]
            others = () if metadata is None else (self._tensor(metadata[i]).expand(1 + draws, -1),)
            labels[i] = self._one(self._tensor(flux[i]), self._tensor(error[i]), self._tensor(noise), *others)
        return self._predictions(labels)

    @classmethod
    def check(cls, precision: str, device: str) -> None:
        """Check as `Engine.check` does, and that the GPU is there."""
        super().check(precision, device)
        check_gpu(device)

    @torch.inference_mode()
    def _one(self, flux: Tensor, error: Tensor, noise: Tensor, *metadata: Tensor) -> NDArray:
        rows = process(realisations(flux, error, noise), self.recipe)
        with full_fp32():
            outputs = self.network(rows[:, None, :], *metadata)
        return self.checkpoint.scaling.unscale(outputs).cpu().numpy()

    def _tensor(self, values: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device, self.dtype)
