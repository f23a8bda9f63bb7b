"""Well-scaled random weights: for trying things out, never for science.

Plain He initialisation would saturate or ignore the spectrum. Here every BatchNorm is
calibrated on synthetic spectra, and the last layer is scaled so that labels lie in the range
of stars and change with the spectrum.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.scaling import V3_SCALING
from apnet_fast.networks.v3 import ApogeeNetV3, ArchitectureV3, position_channel

_CALIBRATION_SPECTRA = 32
_OUTPUT_STD = 0.7
_SIGNIFICANT_DIGITS = 3


def random_checkpoint(seed: int = 0, architecture: ArchitectureV3 | None = None) -> Checkpoint:
    """A v3 checkpoint with random weights: labels about logg 3.2 +- 0.8, log10 teff 3.70 +- 0.07.

    Random numbers come from numpy's PCG64, so a seed gives the same convolution and linear weights on every
    machine; calibrated values are rounded to 3 digits to keep rounding of the platform out of them.
    """
    generator = np.random.default_rng(seed)
    network = ApogeeNetV3(architecture or ArchitectureV3()).eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            fan_in = module.weight[0].numel()
            module.weight.copy_(_normal(generator, module.weight.shape, (2.0 / fan_in) ** 0.5))
            if module.bias is not None:
                module.bias.copy_(_normal(generator, module.bias.shape, 0.1))
    _calibrate(network, torch.from_numpy(_calibration_spectra(generator)))
    return Checkpoint(
        network="v3",
        architecture=network.architecture,
        scaling=V3_SCALING,
        state=network.state_dict(),
        origin=f"random weights, seed {seed}: for trying out, not for science",
    )


def _normal(generator: np.random.Generator, shape: torch.Size, scale: float) -> Tensor:
    return torch.from_numpy(generator.standard_normal(tuple(shape), dtype=np.float32) * np.float32(scale))


def _calibration_spectra(generator: np.random.Generator, pixels: int = 8575) -> NDArray[np.float32]:
    """Log flux (n, 1, pixels) with the levels, lines, noise and gaps of apStar spectra, roughly."""
    n = _CALIBRATION_SPECTRA
    depth = 0.3 * generator.random((n, pixels)) ** 8 * generator.random((n, 1))
    noise = generator.standard_normal((n, pixels)) * 10 ** generator.uniform(-2.5, -0.7, (n, 1))
    log_flux = np.log(10 ** generator.uniform(1.0, 4.3, (n, 1)) * np.maximum(1 - depth + noise, 1e-3))
    for start, stop in ((0, 220), (3317, 3558), (6125, 6315), (8378, pixels)):
        # Half of a gap's pixels are at the floor in a noise draw, the other half far above it.
        at_floor = generator.random((n, stop - start)) < 0.5
        log_flux[:, start:stop][at_floor] = np.log(1e-6)
    return log_flux[:, None, :].astype(np.float32)


def _calibrate(network: ApogeeNetV3, log_flux: Tensor) -> None:
    """Set BatchNorm statistics from the spectra, and the last layer so that outputs have the wanted spread."""
    first = network.first_conv
    x = torch.cat([log_flux, position_channel(log_flux)], dim=1)
    x = functional.max_pool1d(functional.elu(_set_batch_norm(first.bn, first.conv_layer(x))), 2)
    for block in network.res_blocks:
        y = functional.elu(_set_batch_norm(block.bn1, block.conv1(x)))
        y = _set_batch_norm(block.bn2, block.conv2(y))
        x = functional.elu(y + functional.pad(x, block.channel_padding))
    hidden = network.linear_sequential[:-1](network.pool(x).flatten(1))
    last = network.linear_sequential[-1]
    outputs = functional.linear(hidden, last.weight)
    gain = _rounded(_OUTPUT_STD / outputs.std(dim=0))
    last.weight.mul_(gain[:, None])
    last.bias.copy_(-_rounded(outputs.mean(dim=0) * gain))


def _set_batch_norm(bn: nn.BatchNorm1d, x: Tensor) -> Tensor:
    bn.running_mean.copy_(_rounded(x.mean(dim=(0, 2))))
    bn.running_var.copy_(_rounded(x.var(dim=(0, 2))))
    return bn(x)


def _rounded(values: Tensor) -> Tensor:
    return torch.tensor([float(f"{value:.{_SIGNIFICANT_DIGITS}g}") for value in values.tolist()])
