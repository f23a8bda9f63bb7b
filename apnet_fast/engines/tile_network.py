"""The whole recipe over one tile of spectra, on a GPU: fp16 tensor cores, everything preallocated.

The clean spectra of a tile go through the network first, in halves of fp16 that keep 22 bits. Then all draws go
through it as fp16 differences from them: through the convolutions in groups small enough for L2, and together through
the linear layers. Every launch has the same shape whatever the batch, so a result does not depend on the batch it
came in.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from apnet_fast.kernels import cleanup
from apnet_fast.kernels.activations import Activations, activations, segment_length
from apnet_fast.kernels.conv import clean_conv, draw_conv
from apnet_fast.kernels.halves import clean_halves, linear, linear_layer, relu_stack
from apnet_fast.kernels.pool import pool
from apnet_fast.kernels.stem import (
    CHANNELS,
    Preprocessing,
    StemInput,
    clean_stem,
    draw_stem,
    joint_limit,
    joint_scratch,
    length_of,
    scratch,
)
from apnet_fast.kernels.toeplitz import ToeplitzFilter, toeplitz_filter
from apnet_fast.kernels.tuning import Tuning
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.folding import FoldedV3, fold_v3
from apnet_fast.recipes import Recipe, percentile_rank
from apnet_fast.support.errors import UsageError

# Left zero padding of a block's two convolutions.
PADS = (15, 14)

# What the device does for each rule of `Recipe.missing_errors` that v3 recipes have.
_CLEAN_UPS: dict[str, Callable[[Tensor, Tensor, int], None]] = {
    "median": cleanup.cap_errors,
    "zero": cleanup.zero_missing,
}


def clean_up_of(recipe: Recipe) -> Callable[[Tensor, Tensor, int], None]:
    """Return the device's error clean-up of a recipe. Raises UsageError for a rule it does not have."""
    if recipe.missing_errors not in _CLEAN_UPS:
        raise UsageError(
            "engine triton does not have this rule of error clean-up",
            got=f"{recipe.missing_errors}, of recipe {recipe.name}",
            expected=" | ".join(_CLEAN_UPS),
            remedy="--engine reference",
        )
    return _CLEAN_UPS[recipe.missing_errors]


class TileNetwork:
    """Weights and buffers of the network for tiles of `spectra` spectra of one length and one number of draws."""

    def __init__(
        self, checkpoint: Checkpoint, recipe: Recipe, tuning: Tuning, device: torch.device, pixels: int, draws: int
    ) -> None:
        self.device, self.tuning = device, tuning
        self.pixels, self.draws = pixels, draws
        self.spectra = max(1, tuning.tile_rows // (1 + draws))
        self.group_rows = min(tuning.group_rows, max(1, self.spectra * draws))
        self.length = length_of(pixels)
        self.how = preprocessing(recipe, pixels, draws)
        self.clean_up = clean_up_of(recipe)
        self._load(fold_v3(checkpoint, pixels))
        self._allocate()

    def _load(self, network: FoldedV3) -> None:
        """Put the weights on the device, in the form that the kernels read."""
        device = self.device
        self.stem_weight = network.first.weight[:, 0].float().contiguous().to(device)
        self.stem_map = network.first.bias.float().contiguous().to(device)
        self.blocks = [
            [self._filter(conv.weight, conv.bias, pad) for conv, pad in zip(block, PADS, strict=True)]
            for block in network.blocks
        ]
        self.pooled = network.pool
        # Pooled activations come position-major; the first linear layer's weights follow them.
        (weight, bias), *others = network.linear
        weight = weight.view(len(weight), -1, self.pooled).transpose(1, 2).flatten(1)
        self.linear = [linear_layer(w.to(device), b.to(device)) for w, b in ((weight, bias), *others)]

    def _filter(self, weight: Tensor, bias: Tensor, pad: int) -> ToeplitzFilter:
        config = self.tuning.conv(weight.shape[1], weight.shape[0])
        return toeplitz_filter(weight.to(self.device), bias.to(self.device), pad, config)

    def _allocate(self) -> None:
        self.segment = segment_length(self.length, [conv.window for block in self.blocks for conv in block])
        # A buffer of its own for every layer: its zeros around the segments are written once, here.
        self.clean_inputs, self.clean_middles = self._buffers(self.spectra, self.spectra, planes=2)
        self.inputs, self.middles = self._buffers(self.spectra * self.draws, self.group_rows, planes=1)
        # Sums before the ELU of every convolution of the clean spectra.
        self.sums = [[self._zeros(self.spectra, self.segment, conv.c_out) for conv in block] for block in self.blocks]
        self.first_clean = self._zeros(self.spectra, self.length, CHANNELS)
        self.clean_scratch = scratch(self.spectra, self.pixels, self.device)
        self.scratch = scratch(self.spectra * self.draws, self.pixels, self.device)
        rows = self.spectra * (self.draws + 2)
        self.features = torch.zeros(rows, len(self.linear[0].high), dtype=torch.float16, device=self.device)
        self.limits = self._zeros(self.spectra)
        joint = self.how.joint and self.draws > 0
        self.values = joint_scratch(self.spectra, self.draws, self.pixels, self.device) if joint else None

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.float32, device=self.device)

    def _buffers(self, first: int, others: int, planes: int) -> tuple[list[Activations], list[Activations]]:
        """Make the inputs of each block and the last output, and the buffers in the middle of each block.

        first: segments of the first input, which the stem fills; others: segments of the rest.
        """

        def make(segments: int, channels: int, pad: int) -> Activations:
            return activations(segments, self.segment, channels, pad, self.device, planes)

        widths = [block[1].c_out for block in self.blocks]
        inputs = [make(first, CHANNELS, PADS[0]), *(make(others, width, PADS[0]) for width in widths)]
        return inputs, [make(others, width, PADS[1]) for width in widths]

    def compute(self, flux: Tensor, error: Tensor, keys: Tensor, outputs: Tensor, spectra: int) -> None:
        """Compute outputs of the first `spectra` spectra of a tile.

        flux, error: fp32 (tile, pitch) as read; cleaned in place. keys: uint64 (tile,). outputs: fp32
        (tile, 1 + draws, 3), the network's, each clean spectrum before its draws.
        """
        self.clean_up(flux, error, self.pixels)
        if self.values is not None:
            joint_limit(flux, error, keys, self.limits, self.values, self.how, self.tuning.joint)
        given = StemInput(flux, error, keys, self.limits, self.stem_weight, self.stem_map)
        self._clean(given, spectra)
        if self.draws:
            draws = spectra * self.draws
            out = self.inputs[0].part(0, draws)
            draw_stem(given, self.scratch, self.first_clean, out, self.draws, self.how, self.tuning.stem)
            for first in range(0, draws, self.group_rows):
                self.compute_group(first)
        self._linear(outputs)

    def _clean(self, given: StemInput, spectra: int) -> None:
        """Take the clean spectra to their features, and keep the sums that the draws need."""
        inputs, middles = ([x.part(0, spectra) for x in part] for part in (self.clean_inputs, self.clean_middles))
        clean_stem(given, self.clean_scratch, self.first_clean, inputs[0], self.how, self.tuning.stem)
        config = self.tuning.clean
        for i, (conv1, conv2) in enumerate(self.blocks):
            z1, z2 = self.sums[i]
            clean_conv(inputs[i], conv1, z1, middles[i], self.length + 1, config)
            clean_conv(middles[i], conv2, z2, inputs[i + 1], self.length, config, residual=inputs[i])
        high, low = clean_halves(self.features, self.spectra)
        pool(inputs[-1], high, self.length, self.pooled, self.tuning.pool, low)

    def compute_group(self, first: int) -> None:
        """Take the group of draws that begins with draw `first` of the tile to the differences of their features.

        Draws and sums of clean spectra are left as they are; the activations of the group before are overwritten.
        """
        rows = min(self.group_rows, self.spectra * self.draws - first)
        x = self.inputs[0].part(first, rows)
        for i, (conv1, conv2) in enumerate(self.blocks):
            z1, z2 = self.sums[i]
            middle, y = self.middles[i].part(0, rows), self.inputs[i + 1].part(0, rows)
            draw_conv(x, conv1, z1, middle, self.length + 1, first=first, draws=self.draws)
            draw_conv(middle, conv2, z2, y, self.length, first=first, draws=self.draws, residual=x)
            x = y
        pool(x, self.features[first : first + rows], self.length, self.pooled, self.tuning.pool)

    def _linear(self, outputs: Tensor) -> None:
        stack = self.features
        for layer in self.linear[:-1]:
            stack = relu_stack(*linear(stack, layer, self.spectra))
        z, dz = linear(stack, self.linear[-1], self.spectra)
        outputs[:, 0] = z
        outputs[:, 1:] = z[:, None] + dz


def preprocessing(recipe: Recipe, pixels: int, draws: int) -> Preprocessing:
    """Return a recipe's treatment of spectra as the numbers that the stem takes."""
    own = percentile_rank(pixels, recipe.quantile)
    joint = percentile_rank(pixels * max(draws, 1), recipe.quantile)
    return Preprocessing(
        pixels=pixels,
        floor=recipe.floor,
        clip=recipe.clip,
        joint=recipe.percentile_over == "spectrum",
        lower=own.lower,
        upper=own.upper,
        fraction=float(own.fraction),
        joint_lower=joint.lower,
        joint_upper=joint.upper,
        joint_fraction=float(joint.fraction),
    )
