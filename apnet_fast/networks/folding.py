"""Fold the v3 network's constant parts into its convs, in float64 at load, for the fast engines.

BatchNorm in eval mode scales and shifts each channel, so it moves into the conv before it. The second input channel is
the constant sin(pixel), so its share of the first conv, edges included, is a fixed map added to each position.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.v3 import BATCH_NORM_EPS, ArchitectureV3
from apnet_fast.support.errors import WeightsError

_LINEAR = "linear_sequential"


@dataclass(frozen=True)
class FoldedConv:
    """Hold weight (C_out, C_in, k) and bias (C_out,), or one bias per position (C_out, width); float64."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class FoldedV3:
    """Hold a v3 network without BatchNorm: convs in float64, linear layers in float32.

    first: the flux channel's conv (4, 1, 30) and its bias map (4, pixels + 1). blocks: (conv1, conv2) per residual
    block. linear: (weight, bias) per layer, the checkpoint's own tensors; the last layer has no ReLU. pool: positions
    after pooling.
    """

    first: FoldedConv
    blocks: tuple[tuple[FoldedConv, FoldedConv], ...]
    linear: tuple[tuple[Tensor, Tensor], ...]
    pool: int


def fold_v3(checkpoint: Checkpoint, pixels: int) -> FoldedV3:
    """Fold BatchNorm and the position channel of a checkpoint, for spectra of `pixels` pixels.

    Raises WeightsError for weights of a network other than v3.
    """
    arch = checkpoint.architecture
    if not isinstance(arch, ArchitectureV3):
        raise WeightsError("only ApogeeNet v3 can be folded", got=checkpoint.network, remedy="--engine auto")
    state = {
        key: value.double()
        for key, value in checkpoint.state.items()
        if value.is_floating_point() and not key.startswith(_LINEAR)
    }
    half = arch.kernel_size // 2

    scale, shift = _batch_norm(state, "first_conv.bn")
    weight = state["first_conv.conv_layer.weight"] * scale[:, None, None]
    sine = torch.sin(torch.arange(pixels, dtype=torch.float32)).double()[None, None]
    position_map = functional.conv1d(sine, weight[:, 1:], padding=half)[0]
    bias_map = position_map + (state["first_conv.conv_layer.bias"] * scale + shift)[:, None]

    blocks = tuple(
        (
            _folded_conv(state, f"res_blocks.{i}.conv1", f"res_blocks.{i}.bn1"),
            _folded_conv(state, f"res_blocks.{i}.conv2", f"res_blocks.{i}.bn2"),
        )
        for i in range(len(arch.channels) - 1)
    )
    names = [f"{_LINEAR}.{i}.linear_layer" for i in range(arch.num_linear)] + [f"{_LINEAR}.{arch.num_linear}"]
    return FoldedV3(
        first=FoldedConv(weight[:, :1].contiguous(), bias_map),
        blocks=blocks,
        linear=tuple((checkpoint.state[f"{name}.weight"], checkpoint.state[f"{name}.bias"]) for name in names),
        pool=arch.adapt_pool_output_dim,
    )


def _batch_norm(state: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    scale = state[f"{name}.weight"] / torch.sqrt(state[f"{name}.running_var"] + BATCH_NORM_EPS)
    return scale, state[f"{name}.bias"] - state[f"{name}.running_mean"] * scale


def _folded_conv(state: Mapping[str, Tensor], conv: str, bn: str) -> FoldedConv:
    scale, shift = _batch_norm(state, bn)
    return FoldedConv(state[f"{conv}.weight"] * scale[:, None, None], shift)
