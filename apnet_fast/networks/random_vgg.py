"""Make well-scaled random weights of ApogeeNet v2 and v1, for trying things out and never for science.

These networks see the flux itself, over three decades of brightness, and ReLU networks are linear in scale: with plain
random weights only the brightness would count. So the first pair of convs makes eight ramps that end at eight levels
of flux, and so bends the flux into something like its logarithm. Every layer is then scaled on synthetic spectra, so
that its channels have mean 0 and spread 1 before their ReLU. Spectrum and photometry have equal shares in the first
linear layer.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from apnet_fast.networks.random_weights import (
    CALIBRATION_SPECTRA,
    covered_positions,
    normal,
    rounded,
    typical_log_flux,
)
from apnet_fast.networks.v1 import ApogeeNetV1
from apnet_fast.networks.v2 import ApogeeNetV2

_FAINTEST, _BRIGHTEST = 30.0, 3e4
# Without BatchNorm rounding grows from layer to layer. With outputs of this spread float32 keeps labels to 1e-5.
_OUTPUT_STD = 0.25


def fill_vgg(network: ApogeeNetV1 | ApogeeNetV2, generator: np.random.Generator) -> None:
    """Fill a v1 or v2 network with random weights, in place."""
    arch = network.architecture
    flux = torch.from_numpy(np.exp(typical_log_flux(generator, CALIBRATION_SPECTRA)))
    trunk = [network.get_submodule(f"conv{number}") for number in range(1, network.convs + 1)]
    x = _bend_into_logarithm(trunk[0], trunk[1], flux, generator)
    x = functional.max_pool1d(functional.relu(x), 2)
    for number, conv in enumerate(trunk[2:], start=3):
        _randomise(conv, generator)
        x = functional.relu(_standardise(conv, x))
        if number % 2 == 0:
            x = functional.max_pool1d(x, 2)
    features = x.flatten(1)
    if isinstance(network, ApogeeNetV2):
        metadata = normal(generator, (len(flux), 7), 1.0)
        for layer in network.metadata.children():
            _randomise(layer, generator)
            metadata = functional.relu(_standardise(layer, metadata))
        features = torch.hstack([features, metadata])

    _randomise(network.fc1, generator)
    _share_evenly(network.fc1, features, arch.features, arch.channels[-1])
    x = functional.relu(_standardise(network.fc1, features))
    _randomise(network.fc2, generator)
    x = functional.relu(_standardise(network.fc2, x))
    _randomise(network.fc3, generator)
    _standardise(network.fc3, x, _OUTPUT_STD)


def _randomise(layer: nn.Module, generator: np.random.Generator) -> None:
    state = layer.state_dict()  # shares memory with the module
    fan_in = state["weight"][0].numel()
    state["weight"].copy_(normal(generator, state["weight"].shape, (2.0 / fan_in) ** 0.5))
    state["bias"].zero_()


def _standardise(layer: nn.Module, x: Tensor, spread: float = 1.0) -> Tensor:
    """Scale a layer so that its output channels have mean 0 and this standard deviation over x; return its output."""
    state = layer.state_dict()
    y = layer(x) - _along_channels(state["bias"], x.dim())
    over = tuple(axis for axis in range(y.dim()) if axis != 1)
    gain = rounded(spread / y.std(dim=over).clamp(min=1e-6))
    state["weight"].mul_(gain.reshape(-1, *[1] * (state["weight"].dim() - 1)))
    state["bias"].copy_(-rounded(y.mean(dim=over) * gain))
    return layer(x)


def _along_channels(values: Tensor, dimensions: int) -> Tensor:
    return values[:, None] if dimensions == 3 else values


def _bend_into_logarithm(first: nn.Module, second: nn.Module, flux: Tensor, generator: np.random.Generator) -> Tensor:
    """Set conv1 to ramps relu(1 - flux / level), and conv2 to random sums of the logarithm that the ramps make up."""
    state = first.state_dict()
    ramps = len(state["weight"])
    levels = np.geomspace(_FAINTEST, _BRIGHTEST, ramps)
    state["weight"].zero_()
    state["weight"][:, 0, 1] = torch.from_numpy(-1 / levels).float()
    state["bias"].fill_(1.0)
    # ln is concave and taken as flat beyond the last level, so it is minus a sum of ramps, each weighted with
    # the change of slope at its level.
    slopes = np.concatenate([[1 / levels[0]], np.diff(np.log(levels)) / np.diff(levels), [0.0]])
    bends = torch.from_numpy(-np.diff(slopes) * levels).float()
    state = second.state_dict()
    taps = normal(generator, (state["weight"].shape[0], 1, state["weight"].shape[2]), 1.0)
    state["weight"].copy_(-taps * bends[None, :, None])
    state["bias"].zero_()
    return _standardise(second, functional.relu(first(flux)))


def _share_evenly(layer: nn.Module, features: Tensor, spectral: int, channels: int) -> None:
    """Let spectrum and photometry move the layer equally, and give the chip gaps no weight, as in v3."""
    weight = layer.state_dict()["weight"]
    weight[:, :spectral] *= covered_positions(spectral // channels).repeat(channels)
    for part in (slice(0, spectral), slice(spectral, None)):
        moved = features[:, part] @ weight[:, part].T
        if moved.any():
            weight[:, part] *= float(rounded(1 / moved.std(dim=0).mean()[None]))
