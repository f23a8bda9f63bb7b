"""Make well-scaled random weights, for trying things out and never for science.

Plain He initialisation would saturate or ignore the spectrum. Here every BatchNorm is calibrated on synthetic spectra,
and the last layer is scaled so that labels lie in the range of stars and change with the spectrum. In the chip gaps
noise draws jump between the floor and the noise. The first linear layer gives gaps no weight, as a trained network
learns; otherwise they alone would scatter labels by as much as stars differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.kinds import Architecture, kind_of, network_kind
from apnet_fast.networks.random_vgg import fill_vgg
from apnet_fast.networks.random_weights import (
    CALIBRATION_SPECTRA,
    covered_positions,
    normal,
    rounded,
    typical_log_flux,
)
from apnet_fast.networks.v3 import ApogeeNetV3
from apnet_fast.support.errors import UsageError
from apnet_fast.support.forks import sound

_OUTPUT_STD = 0.7


@sound
def random_checkpoint(
    seed: int = 0, architecture: Architecture | None = None, *, network: str | None = None
) -> Checkpoint:
    """Return a checkpoint with random weights; v3 labels lie about logg 3.2 +- 0.8, log10 teff 3.70 +- 0.07.

    Give a `network` ("v3", "v2" or "v1") of the published size, or an `architecture`. Random numbers come from numpy's
    PCG64, so a seed gives the same convolution and linear weights on every machine; calibrated values are rounded to 3
    digits to keep the platform's rounding out of them. Raises UsageError for an unknown network, or for none or both.
    """
    if (architecture is None) == (network is None):
        raise UsageError(
            "random weights need a network or an architecture",
            got="neither" if network is None else "both",
            expected="one of the two",
            remedy='network="v3"',
        )
    kind = network_kind(network or "") if architecture is None else kind_of(architecture)
    module = kind.module(architecture or kind.architecture()).eval().requires_grad_(False)
    _FILL[kind.name](module, np.random.default_rng(seed))
    return Checkpoint(
        network=kind.name,
        architecture=architecture or kind.architecture(),
        scaling=kind.scaling,
        state=module.state_dict(),
        origin=f"random weights, seed {seed}: for trying out, not for science",
    )


def _fill_v3(network: ApogeeNetV3, generator: np.random.Generator) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            fan_in = module.weight[0].numel()
            module.weight.copy_(normal(generator, module.weight.shape, (2.0 / fan_in) ** 0.5))
            if module.bias is not None:
                module.bias.copy_(normal(generator, module.bias.shape, 0.1))
    _ignore_chip_gaps(network)
    _calibrate(network, torch.from_numpy(typical_log_flux(generator, CALIBRATION_SPECTRA)))


def _ignore_chip_gaps(network: ApogeeNetV3) -> None:
    """Zero the first linear layer's weights on pooled positions in and near the chip gaps."""
    pool = network.architecture.adapt_pool_output_dim
    covered = covered_positions(pool)
    weight = network.state_dict()["linear_sequential.0.linear_layer.weight"]  # shares memory with the module
    weight.view(len(weight), -1, pool).mul_(covered * covered.float().mean() ** -0.5)


def _calibrate(network: ApogeeNetV3, log_flux: Tensor) -> None:
    """Set BatchNorm statistics from the spectra, and scale the last layer so that outputs have the wanted spread."""

    def take_statistics(bn: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        statistics = bn.state_dict()  # shares memory with the module
        statistics["running_mean"].copy_(rounded(inputs[0].mean(dim=(0, 2))))
        statistics["running_var"].copy_(rounded(inputs[0].var(dim=(0, 2))))

    # Take each statistic just before its layer is used, so that later layers see calibrated earlier ones.
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    hooks = [norm.register_forward_pre_hook(take_statistics) for norm in norms]
    outputs = network(log_flux)
    for hook in hooks:
        hook.remove()

    last = network.linear_sequential[-1].state_dict()
    gain = rounded(_OUTPUT_STD / outputs.std(dim=0))
    centre = rounded((outputs - last["bias"]).mean(dim=0) * gain)
    last["weight"].mul_(gain[:, None])
    last["bias"].copy_(-centre)


# Functions that fill each network's weights in place.
_FILL: dict[str, Callable[[Any, np.random.Generator], None]] = {"v3": _fill_v3, "v2": fill_vgg, "v1": fill_vgg}
