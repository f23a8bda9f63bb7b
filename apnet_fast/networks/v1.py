"""Define ApogeeNet v1 (Olney et al. 2020) as a plain torch module: the truth, short, no tricks.

Module names are those of the upstream checkpoint (30 tensors), so a state_dict loads as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from apnet_fast.networks.vgg import ArchitectureVgg, VggTrunk


@dataclass(frozen=True)
class ArchitectureV1(ArchitectureVgg):
    """Hold the sizes of a v1 network."""


class ApogeeNetV1(VggTrunk):
    """Map flux (B, 1, 8575) to normalised labels (B, 3): logg, teff (linear), fe_h."""

    def __init__(self, architecture: ArchitectureV1 | None = None) -> None:
        arch = architecture or ArchitectureV1()
        super().__init__(arch.channels)
        self.architecture = arch
        self.fc1 = nn.Linear(arch.features, arch.linear_dim)
        self.fc2 = nn.Linear(arch.linear_dim, arch.linear_dim)
        self.fc3 = nn.Linear(arch.linear_dim, 3)

    def forward(self, flux: Tensor) -> Tensor:
        """Map (B, 1, 8575) to (B, 3), in the dtype of the weights."""
        x = functional.relu(self.fc1(self.features(flux)))
        return self.fc3(functional.relu(self.fc2(x)))
