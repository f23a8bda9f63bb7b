"""Define ApogeeNet v3 (Sizemore et al. 2024, "BOSS Net" with three outputs) as a plain torch module.

This file is the truth: short, readable, no tricks. It runs in float32 and float64.
Module names are those of the upstream checkpoint, so a state_dict loads as it is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH_NORM_EPS = 1e-5
"""What BatchNorm adds to a variance; the networks were trained with PyTorch's default."""


@dataclass(frozen=True)
class ArchitectureV3:
    """Hold the sizes of a v3 network, named as in upstream's model_args.yaml; defaults are the APOGEE network's."""

    model_dim: int = 4
    dim_mults: tuple[int, ...] = (1, 2, 4, 8, 16)
    kernel_size: int = 30
    num_targets: int = 3
    adapt_pool_output_dim: int = 1024
    num_linear: int = 6
    linear_dim: int = 1024
    pixels: ClassVar[int | None] = None  # any number fits

    @property
    def channels(self) -> tuple[int, ...]:
        """Return the channels after the first conv and after each residual block: (4, 8, 16, 32, 64)."""
        return tuple(self.model_dim * multiple for multiple in self.dim_mults)

    @property
    def features(self) -> int:
        """Return the number of values that the linear layers get of a spectrum: 64 channels of 1024 positions."""
        return self.channels[-1] * self.adapt_pool_output_dim

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON and YAML, with the two constants that upstream's file also holds."""
        return {
            "in_channels": 1,
            **asdict(self),
            "dim_mults": list(self.dim_mults),
            "pos_enc": True,
        }


class FirstConv(nn.Module):
    """Apply a conv with k=30 and pad=15 (2 -> 4 channels, one column longer), BatchNorm, ELU, max-pool by 2."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv1d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.bn = nn.BatchNorm1d(out_channels, eps=BATCH_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 2, 8575) to (B, 4, 4288)."""
        return functional.max_pool1d(functional.elu(self.bn(self.conv_layer(x))), 2)


class ResidualBlock(nn.Module):
    """Apply two convs, whose paddings (15, then 14) lengthen by one column and shorten again, and add the input.

    The input is zero-padded in the channel axis, centred.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)
        self.bn1 = nn.BatchNorm1d(out_channels, eps=BATCH_NORM_EPS)
        self.conv2 = nn.Conv1d(out_channels, out_channels, kernel_size, padding=(kernel_size - 1) // 2, bias=False)
        self.bn2 = nn.BatchNorm1d(out_channels, eps=BATCH_NORM_EPS)
        before = (out_channels - in_channels) // 2
        self.channel_padding = (0, 0, before, out_channels - in_channels - before)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C_in, 4288) to (B, C_out, 4288)."""
        y = functional.elu(self.bn1(self.conv1(x)))  # (B, C_out, 4289)
        y = self.bn2(self.conv2(y))
        return functional.elu(y + functional.pad(x, self.channel_padding))


class LinearBlock(nn.Module):
    """Apply a linear layer and ReLU."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear_layer = nn.Linear(in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_features) to (B, out_features)."""
        return functional.relu(self.linear_layer(x))


class ApogeeNetV3(nn.Module):
    """Map processed log flux (B, 1, pixels) to normalised labels (B, 3): logg, log10 teff, fe_h.

    Any number of pixels works, since the convs end in an adaptive pooling; apStar has 8575.
    """

    def __init__(self, architecture: ArchitectureV3 | None = None) -> None:
        super().__init__()
        arch = architecture or ArchitectureV3()
        self.architecture = arch
        channels = arch.channels
        self.first_conv = FirstConv(2, channels[0], arch.kernel_size)
        self.res_blocks = nn.ModuleList(
            ResidualBlock(c_in, c_out, arch.kernel_size) for c_in, c_out in pairwise(channels)
        )
        self.pool = nn.AdaptiveAvgPool1d(arch.adapt_pool_output_dim)
        widths = [arch.features, *[arch.linear_dim] * arch.num_linear]
        self.linear_sequential = nn.Sequential(
            *(LinearBlock(a, b) for a, b in pairwise(widths)),
            nn.Linear(arch.linear_dim, arch.num_targets),
        )

    def forward(self, log_flux: Tensor) -> Tensor:
        """Map (B, 1, pixels) to (B, 3), in the dtype of the weights."""
        x = torch.cat([log_flux, position_channel(log_flux)], dim=1)
        x = self.first_conv(x)
        for block in self.res_blocks:
            x = block(x)
        return self.linear_sequential(self.pool(x).flatten(1))


def position_channel(log_flux: Tensor) -> Tensor:
    """Return the second input channel, sin(pixel index): (B, 1, pixels) like its argument.

    The network was trained on the float32 sine, so every precision uses that value.
    """
    pixels = log_flux.shape[-1]
    sine = torch.sin(torch.arange(pixels, dtype=torch.float32))
    return sine.to(log_flux).expand(log_flux.shape[0], 1, pixels)
