"""Define ApogeeNet v2 (Sprague et al. 2022) as a plain torch module: the truth, short, no tricks.

Module names are those of the upstream checkpoint (40 tensors), so a state_dict loads as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from apnet_fast.networks.vgg import ArchitectureVgg, VggTrunk
from apnet_fast.recipes.photometry import PHOTOMETRY


@dataclass(frozen=True)
class ArchitectureV2(ArchitectureVgg):
    """Hold the sizes of a v2 network; metadata_dims are the widths of the layers that read the photometry."""

    metadata_dims: tuple[int, ...] = (8, 16, 32, 32, 64)


class MetadataNet(nn.Module):
    """Apply linear layers l1 .. l5 with a ReLU after each, the last included."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = len(dims)
        for number, (a, b) in enumerate(pairwise([len(PHOTOMETRY), *dims]), start=1):
            self.add_module(f"l{number}", nn.Linear(a, b))

    def forward(self, metadata: Tensor) -> Tensor:
        """Map (B, 7) to (B, 64)."""
        x = metadata
        for number in range(1, self.layers + 1):
            x = functional.relu(self.get_submodule(f"l{number}")(x))
        return x


class ApogeeNetV2(VggTrunk):
    """Map flux (B, 1, 8575) and normalised photometry (B, 7) to normalised labels (B, 3): logg, log10 teff, fe_h.

    Upstream's dropout has probability 0 and is left out.
    """

    def __init__(self, architecture: ArchitectureV2 | None = None) -> None:
        arch = architecture or ArchitectureV2()
        super().__init__(arch.channels)
        self.architecture = arch
        self.metadata = MetadataNet(arch.metadata_dims)
        self.fc1 = nn.Linear(arch.features + arch.metadata_dims[-1], arch.linear_dim)
        self.fc2 = nn.Linear(arch.linear_dim, arch.linear_dim)
        self.fc3 = nn.Linear(arch.linear_dim, 3)

    def forward(self, flux: Tensor, metadata: Tensor) -> Tensor:
        """Map (B, 1, 8575) and (B, 7) to (B, 3), in the dtype of the weights."""
        x = torch.hstack([self.features(flux), self.metadata(metadata)])
        x = functional.relu(self.fc1(x))
        return self.fc3(functional.relu(self.fc2(x)))
