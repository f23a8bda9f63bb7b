"""Well-scaled random weights: for trying things out, never for science.

Plain He initialisation would saturate or ignore the spectrum. Here every BatchNorm is
calibrated on synthetic spectra, and the last layer is scaled so that labels lie in the range
of stars and change with the spectrum. Chip gaps, where noise draws jump between the floor and
the noise, get no weight in the first linear layer, as a trained network learns; without that, they alone
would make labels scatter by as much as stars differ.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.scaling import V3_SCALING
from apnet_fast.networks.v3 import ApogeeNetV3, ArchitectureV3

_CALIBRATION_SPECTRA = 32
_OUTPUT_STD = 0.7
_SIGNIFICANT_DIGITS = 3

# apStar pixels that no chip covers, for a star at rest (0-based, half-open).
_PIXELS = 8575
_CHIP_GAPS = ((0, 220), (3317, 3558), (6125, 6315), (8378, _PIXELS))
_GAP_MARGIN = 150


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
    _ignore_chip_gaps(network)
    _calibrate(network, torch.from_numpy(typical_log_flux(generator, _CALIBRATION_SPECTRA)))
    return Checkpoint(
        network="v3",
        architecture=network.architecture,
        scaling=V3_SCALING,
        state=network.state_dict(),
        origin=f"random weights, seed {seed}: for trying out, not for science",
    )


def _normal(generator: np.random.Generator, shape: torch.Size, scale: float) -> Tensor:
    return torch.from_numpy(generator.standard_normal(tuple(shape), dtype=np.float32) * np.float32(scale))


def _ignore_chip_gaps(network: ApogeeNetV3) -> None:
    """Zero the first linear layer's weights on pooled positions in and near the chip gaps."""
    pool = network.architecture.adapt_pool_output_dim
    centre = (torch.arange(pool) + 0.5) * _PIXELS / pool
    covered = torch.ones(pool, dtype=torch.bool)
    for start, stop in _CHIP_GAPS:
        covered &= (centre < start - _GAP_MARGIN) | (centre > stop + _GAP_MARGIN)
    weight = network.state_dict()["linear_sequential.0.linear_layer.weight"]  # shares memory with the module
    weight.view(len(weight), -1, pool).mul_(covered * covered.float().mean() ** -0.5)


def typical_log_flux(generator: np.random.Generator, n: int) -> NDArray[np.float32]:
    """Log flux (n, 1, 8575) of n spectra with the levels, lines, noise and gaps of apStar spectra, roughly."""
    pixels = _PIXELS
    depth = 0.3 * generator.random((n, pixels)) ** 8 * generator.random((n, 1))
    noise = generator.standard_normal((n, pixels)) * 10 ** generator.uniform(-2.5, -0.7, (n, 1))
    log_flux = np.log(10 ** generator.uniform(1.0, 4.3, (n, 1)) * np.maximum(1 - depth + noise, 1e-3))
    for start, stop in _CHIP_GAPS:
        # Half of a gap's pixels are at the floor in a noise draw, the other half far above it.
        at_floor = generator.random((n, stop - start)) < 0.5
        log_flux[:, start:stop][at_floor] = np.log(1e-6)
    return log_flux[:, None, :].astype(np.float32)


def _calibrate(network: ApogeeNetV3, log_flux: Tensor) -> None:
    """Set BatchNorm statistics from the spectra, and the last layer so that outputs have the wanted spread."""

    def take_statistics(bn: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        statistics = bn.state_dict()  # shares memory with the module
        statistics["running_mean"].copy_(_rounded(inputs[0].mean(dim=(0, 2))))
        statistics["running_var"].copy_(_rounded(inputs[0].var(dim=(0, 2))))

    # Each statistic is taken just before its layer is used, so later layers see calibrated earlier ones.
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    hooks = [norm.register_forward_pre_hook(take_statistics) for norm in norms]
    outputs = network(log_flux)
    for hook in hooks:
        hook.remove()

    last = network.linear_sequential[-1].state_dict()
    gain = _rounded(_OUTPUT_STD / outputs.std(dim=0))
    centre = _rounded((outputs - last["bias"]).mean(dim=0) * gain)
    last["weight"].mul_(gain[:, None])
    last["bias"].copy_(-centre)


def _rounded(values: Tensor) -> Tensor:
    return torch.tensor([float(f"{value:.{_SIGNIFICANT_DIGITS}g}") for value in values.tolist()])
