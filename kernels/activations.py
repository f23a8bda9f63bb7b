"""Buffers of activations: fp16, channels last, all rows of the network one behind the other.

Each row of the network is a segment of fixed length. Positions that no spectrum fills are zero, and kernels write
them as zero, so they are the zero padding of the next convolution.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from apnet_fast.kernels.toeplitz import Window

# Zero positions behind the last segment: more than any window reaches.
_TAIL = 64
# Segments are a multiple of every number of positions that a block may take.
_SEGMENT_STEP = 32


@dataclass(frozen=True)
class Activations:
    """Activations of `segments` segments, preceded by `lead` positions of zeros.

    data: fp16 (planes, lead + segments * segment + tail, channels). Two planes hold values as sums of two halves, the
    high ones first. lead: the padding of the convolution that reads the buffer, so that its windows start aligned.
    """

    data: Tensor
    lead: int
    segments: int
    segment: int

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.data.shape[2]

    @property
    def plane(self) -> int:
        """Elements from a value's high half to its low half."""
        return self.data.stride(0)

    def rows(self) -> Tensor:
        """View the segments, (planes, segments, segment, channels)."""
        inside = self.data[:, self.lead : self.lead + self.segments * self.segment]
        return inside.unflatten(1, (self.segments, self.segment))

    def part(self, first: int, segments: int) -> Activations:
        """View a run of segments. The segment before it ends in zeros, which are its lead."""
        start = first * self.segment
        stop = start + self.lead + segments * self.segment + _TAIL
        return Activations(self.data[:, start:stop], self.lead, segments, self.segment)


def activations(
    segments: int, segment: int, channels: int, lead: int, device: torch.device | str, planes: int = 1
) -> Activations:
    """Make a zeroed buffer."""
    # Whole 16 bytes, so that the second plane is aligned like the first.
    positions = -(-(lead + segments * segment + _TAIL) // 8) * 8
    data = torch.zeros(planes, positions, channels, dtype=torch.float16, device=device)
    return Activations(data, lead, segments, segment)


def segment_length(length: int, windows: Iterable[Window]) -> int:
    """Return the shortest segment in which no window of a filled position reaches the neighbour.

    length: positions of a block's output; within a block there is one more. A weight of zero does not help against a
    neighbour's infinity: their product is NaN.
    """
    filled = length + 1
    reach = filled + max(window.pad for window in windows)
    for window in windows:
        last_row = (filled - 1) // window.positions * window.positions
        reach = max(reach, last_row - window.pad + window.width)
    return -(-reach // _SEGMENT_STEP) * _SEGMENT_STEP
