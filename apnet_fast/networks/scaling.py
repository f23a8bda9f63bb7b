"""Turn normalised network outputs into physical labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class LabelScaling:
    """Scale outputs: label = output * std + mean, with one value per label, in the order of `names`."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def unscale(self, outputs: Tensor) -> Tensor:
        """Turn network outputs (..., 3) into labels of the same dtype, with upstream's two roundings (no fused one)."""
        std = torch.tensor(self.std, dtype=outputs.dtype, device=outputs.device)
        mean = torch.tensor(self.mean, dtype=outputs.dtype, device=outputs.device)
        scaled = outputs * std
        return scaled + mean

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {key: list(value) for key, value in asdict(self).items()}


# Astra 0.6.0 `apogeenet/model.py` and BOSSNet `stats/apogee.yaml` (identical).
V3_SCALING = LabelScaling(names=("logg", "log_teff", "fe_h"), mean=(3.2, 3.7, -0.2), std=(1.2, 0.1, 0.3))

# Astra 0.6.0 `apogeenet_v2` and the ApogeeNet2 package (identical).
V2_SCALING = LabelScaling(
    names=("logg", "log_teff", "fe_h"),
    mean=(2.925783395767212, 3.6705732345581055, -0.13088105618953705),
    std=(1.1890668869018555, 0.0917675793170929, 0.25668784976005554),
)

# Astra `contrib/apogeenet` of 2020. Teff is linear; upstream scales in float64, here in the network's precision.
V1_SCALING = LabelScaling(
    names=("logg", "teff", "fe_h"),
    mean=(2.880541250669337, 4716.915128138449, -0.22329606176144642),
    std=(1.1648147820369943, 733.0099523547299, 0.3004270650813916),
)
