"""Prepare a folded v3 network for the CPU engine: filters in Fourier space, channels in a convenient order.

Activations have 4, 8 or a multiple of 16 channels, so that they fill SIMD vectors. A residual block's output channels
begin with those to which its input is added; the next layer's weights follow that order. In pooled activations
positions come before channels, and the first linear layer's weights follow that order, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from apnet_fast.engines.cpu import fftconv
from apnet_fast.engines.cpu.fftconv import FREQUENCIES, POINTS
from apnet_fast.engines.cpu.stem import CHANNEL_GROUP, LANES
from apnet_fast.networks.folding import FoldedConv, FoldedV3
from apnet_fast.support.errors import UsageError

# Half of such a filter fits into the buffers' margins, and half of a block of positions is left for outputs.
LONGEST_FILTER = POINTS // 2

# The network's channel that each channel of an activation buffer holds; None: always zero.
Slots = tuple[int | None, ...]


@dataclass(frozen=True)
class FilterBank:
    """Hold one conv: fp32 filters (65, 2 inputs, 2 outputs) in Fourier space and bias (outputs,).

    pad: zeros that it sees before position 0. lanes: vector length of its inverse transform. residual: channels of the
    block's input that are added to its first outputs.
    """

    inputs: int
    outputs: int
    pad: int
    spectra: Tensor
    bias: NDArray[np.float32]
    lanes: int
    residual: int


@dataclass(frozen=True)
class CpuNetwork:
    """Hold all of a network except its arithmetic.

    pixels: length of the spectra. taps: length of the filters. length, middle: positions between residual blocks, and
    within them. blocks, outputs: blocks of each half of a row, and positions of each. stem_weight: (groups, taps, 4).
    stem_map: (channels, map_width).
    """

    pixels: int
    taps: int
    length: int
    middle: int
    blocks: int
    outputs: int
    stem_weight: NDArray[np.float32]
    stem_map: NDArray[np.float32]
    map_width: int
    convs: tuple[tuple[FilterBank, FilterBank], ...]
    pooled: int
    linear: tuple[tuple[Tensor, Tensor], ...]

    @property
    def stem_channels(self) -> int:
        """Return the number of channels of the stem's output."""
        return self.convs[0][0].inputs

    @property
    def features(self) -> int:
        """Return the number of values per row that the linear layers get."""
        return self.pooled * self.convs[-1][1].outputs

    @property
    def positions(self) -> int:
        """Return an activation buffer's positions: margin, both halves, and the last block's window beyond them."""
        return fftconv.BEFORE + 2 * self.blocks * self.outputs + POINTS


def prepare(network: FoldedV3, pixels: int) -> CpuNetwork:
    """Order channels, transform filters in float64, and round to fp32, for spectra of `pixels` pixels.

    Raises UsageError for filters longer than `LONGEST_FILTER`.
    """
    taps = network.first.weight.shape[-1]
    if taps > LONGEST_FILTER:
        raise UsageError(
            "filters are too long for the cpu engine",
            got=f"{taps} taps",
            expected=f"at most {LONGEST_FILTER}",
            remedy="--engine reference",
        )
    longer = 2 * (taps // 2) - taps + 1
    length = (pixels + longer) // 2
    outputs = POINTS - taps + 1
    slots = _padded(range(len(network.first.weight)))
    weight, position_map = _rows(network.first.weight[:, 0], slots), _rows(network.first.bias, slots)
    width = -(-2 * length // LANES) * LANES
    stem_map = torch.nn.functional.pad(position_map[:, : 2 * length], (0, width - 2 * length))
    stem_weight = weight.view(-1, CHANNEL_GROUP, taps).transpose(1, 2)
    convs = []
    for conv1, conv2 in network.blocks:
        middle = _padded(range(len(conv1.weight)))
        before = (len(conv2.weight) - conv1.weight.shape[1]) // 2
        after = _with_residual_first(slots, before, len(conv2.weight))
        convs.append(
            (
                bank(conv1, slots, middle, taps // 2, _lanes(len(middle)), 0),
                bank(conv2, middle, after, (taps - 1) // 2, min(_lanes(len(after)), _lanes(len(slots))), len(slots)),
            )
        )
        slots = after
    return CpuNetwork(
        pixels=pixels,
        taps=taps,
        length=length,
        middle=length + longer,
        blocks=-(-(length + longer) // (2 * outputs)),
        outputs=outputs,
        stem_weight=_float32(stem_weight),
        stem_map=_float32(stem_map),
        map_width=width,
        convs=tuple(convs),
        pooled=network.pool,
        linear=(_first_linear(*network.linear[0], slots, network.pool), *_rounded(network.linear[1:])),
    )


def _padded(channels: Sequence[int | None]) -> Slots:
    """Return the channels, with zeros appended to fill whole vectors."""
    n = len(channels)
    size = 4 if n <= 4 else 8 if n <= 8 else -(-n // 16) * 16
    return (*channels, *[None] * (size - n))


def _with_residual_first(inputs: Slots, before: int, channels: int) -> Slots:
    added = [None if slot is None else before + slot for slot in inputs]
    return _padded([*added, *(channel for channel in range(channels) if channel not in added)])


def _lanes(channels: int) -> int:
    return min(channels, LANES)


def _rows(values: Tensor, slots: Sequence[int | None]) -> Tensor:
    """Return values[slot] for every slot, and zeros for None."""
    chosen = torch.zeros(len(slots), *values.shape[1:], dtype=values.dtype)
    for i, slot in enumerate(slots):
        if slot is not None:
            chosen[i] = values[slot]
    return chosen


def bank(
    conv: FoldedConv,
    inputs: Sequence[int | None],
    outputs: Sequence[int | None],
    pad: int,
    lanes: int,
    residual: int,
) -> FilterBank:
    """Return a conv's filters in Fourier space, between buffers whose channels are `inputs` and `outputs`."""
    weight = _rows(_rows(conv.weight, outputs).transpose(0, 1), inputs)  # (inputs, outputs, taps)
    # Networks correlate, hence the conjugate. The inverse transform's 1 / 128 goes in as well.
    spectra = torch.fft.rfft(weight, n=POINTS).conj().permute(2, 0, 1) / POINTS  # (65, inputs, outputs)
    real, imag = spectra.real, spectra.imag
    matrix = torch.cat([torch.cat([real, imag], dim=2), torch.cat([-imag, real], dim=2)], dim=1)
    assert len(matrix) == FREQUENCIES
    return FilterBank(
        inputs=len(inputs),
        outputs=len(outputs),
        pad=pad,
        spectra=matrix.float().contiguous(),
        bias=_float32(_rows(conv.bias, outputs)),
        lanes=lanes,
        residual=residual,
    )


def _first_linear(weight: Tensor, bias: Tensor, slots: Slots, pooled: int) -> tuple[Tensor, Tensor]:
    """Reorder weights for features (pooled, slots) instead of (channels, pooled)."""
    by_channel = weight.view(len(weight), -1, pooled).permute(1, 2, 0)  # (channels, pooled, rows)
    return _rows(by_channel.float(), slots).permute(2, 1, 0).flatten(1).contiguous(), bias.float()


def _rounded(layers: Sequence[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    return [(weight.float().contiguous(), bias.float()) for weight, bias in layers]


def _float32(values: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.float().numpy()).ravel()
