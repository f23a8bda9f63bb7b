"""Measure how large a network's activations become, to tell whether fp16 can hold them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.random_weights import typical_log_flux
from apnet_fast.recipes import get_recipe, network_version
from apnet_fast.recipes.photometry import as_photometry, normalised_photometry
from apnet_fast.support.forks import sound

FP16_MAX = 65504.0
# Other spectra may exceed the largest activation of those that were tried.
LEAST_HEADROOM = 16.0
_SPECTRA = 8
_FLOOR = float(np.log(1e-6))


@dataclass(frozen=True)
class LayerRange:
    """Hold the largest absolute value that a layer puts out."""

    layer: str
    largest: float

    @property
    def headroom(self) -> float:
        """Return 65504, the largest fp16, over the largest value."""
        return FP16_MAX / self.largest if self.largest else float("inf")


@sound
def layer_ranges(checkpoint: Checkpoint) -> list[LayerRange]:
    """Return every layer's range over typical spectra and over the extremes that a recipe lets through.

    The extremes: all pixels at the floor, all very bright (1e6), and jumping between the two from pixel to pixel.
    """
    network = checkpoint.module()
    largest: dict[str, float] = {}

    def record(name: str) -> None:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            largest[name] = max(largest.get(name, 0.0), float(output.abs().max()))

        network.get_submodule(name).register_forward_hook(hook)

    # These are the values that fast engines store: BatchNorm is folded into the conv before it, sums follow blocks.
    normalised = any(isinstance(module, nn.BatchNorm1d) for module in network.modules())
    layers = (nn.BatchNorm1d, nn.Linear) if normalised else (nn.Conv1d, nn.Linear)
    for name, module in network.named_modules():
        if isinstance(module, layers) or (name.startswith("res_blocks.") and name.count(".") == 1):
            record(name)
    spectra = _spectra() if get_recipe(None, checkpoint.network).log_flux else _spectra().exp()
    # Take all photometry as missing, because its placeholders lie further out than any star.
    placeholders = torch.from_numpy(normalised_photometry(as_photometry(None, len(spectra)), "astra"))
    inputs = (spectra, placeholders) if network_version(checkpoint.network).photometry else (spectra,)
    with torch.inference_mode():
        network(*inputs)
    return [LayerRange(name, value) for name, value in largest.items()]


def fp16_headroom(checkpoint: Checkpoint) -> float:
    """Return the smallest headroom of all layers."""
    return min(layer.headroom for layer in layer_ranges(checkpoint))


def _spectra() -> Tensor:
    typical = typical_log_flux(np.random.default_rng(0), _SPECTRA)
    bright = np.full_like(typical[:1], np.log(1e6))
    floor = np.full_like(bright, _FLOOR)
    jumping = np.where(np.arange(bright.shape[-1]) % 2, bright, floor)
    return torch.from_numpy(np.concatenate([typical, bright, floor, jumping]).astype(np.float32))
