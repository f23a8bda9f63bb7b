"""Compute a percentile's rank with the arithmetic of `torch.quantile`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from apnet_fast.support.errors import UsageError

# torch.quantile ranks in float32, which cannot hold every integer above 2**24; torch refuses such inputs.
_LARGEST_QUANTILE_INPUT = 2**24


@dataclass(frozen=True)
class Rank:
    """Locate a percentile among n sorted values: value[lower] + fraction * (value[upper] - value[lower])."""

    lower: int
    upper: int
    fraction: np.float32


def percentile_rank(n: int, quantile: float = 0.95) -> Rank:
    """Return the rank of a quantile among n values, with the arithmetic of `torch.quantile` (float32, linear).

    Raises UsageError above 2**24 values, for which float32 has no exact ranks; torch refuses them too.
    """
    if n > _LARGEST_QUANTILE_INPUT:
        raise UsageError(
            "too many values for one joint percentile",
            got=f"{n} (draws x pixels)",
            expected=f"at most {_LARGEST_QUANTILE_INPUT}",
            remedy="use fewer --draws, or a recipe with one percentile per draw",
        )
    position = np.float32(quantile) * np.float32(n - 1)
    lower = int(np.floor(position))
    return Rank(lower, int(np.ceil(position)), np.float32(position - np.float32(lower)))
