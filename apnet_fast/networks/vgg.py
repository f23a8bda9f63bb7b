"""Define the trunk that ApogeeNet v1 and v2 share: VGG-like pairs of convs, each followed by a max-pool by 2."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from apnet_fast.support.grid import PIXELS


@dataclass(frozen=True)
class ArchitectureVgg:
    """Hold the sizes of a VGG network; defaults are those of the published networks.

    channels: channels after each of the six pairs of convs. pixels: length of a spectrum, which the first linear layer
    fixes.
    """

    channels: tuple[int, ...] = (8, 16, 16, 32, 32, 64)
    linear_dim: int = 512
    pixels: int = PIXELS

    @property
    def features(self) -> int:
        """Return the number of values that the trunk makes of a spectrum: 64 channels of 133 positions."""
        return self.channels[-1] * (self.pixels >> len(self.channels))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON and YAML."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


class VggTrunk(nn.Module):
    """Apply conv1 .. conv12 (k=3, pad=1, ReLU after each), and max-pool by 2 after each pair; upstream's names."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        widths = [1, *(width for width in channels for _ in range(2))]
        self.convs = 2 * len(channels)
        for number, (c_in, c_out) in enumerate(pairwise(widths), start=1):
            self.add_module(f"conv{number}", nn.Conv1d(c_in, c_out, 3, padding=1))

    def features(self, flux: Tensor) -> Tensor:
        """Map (B, 1, 8575) to (B, 8512), channel-major; lengths 8575, 4287, 2143, 1071, 535, 267, 133."""
        x = flux
        for number in range(1, self.convs + 1):
            x = functional.relu(self.get_submodule(f"conv{number}")(x))
            if number % 2 == 0:
                x = functional.max_pool1d(x, 2)
        return x.flatten(1)
