"""Percentile ranks are those of torch.quantile, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from apnet_fast.recipes.rank import percentile_rank
from apnet_fast.support.errors import UsageError


@pytest.mark.parametrize("n", [2, 20, 100, 4000, 8000, 8575, 171500])
def test_percentile_rank_is_that_of_torch(n: int, rng: np.random.Generator) -> None:
    values = rng.normal(size=n).astype(np.float32)
    rank = percentile_rank(n)
    ordered = torch.from_numpy(np.sort(values))
    got = torch.lerp(ordered[rank.lower], ordered[rank.upper], torch.tensor(rank.fraction))
    expected = torch.quantile(torch.from_numpy(values), 0.95)
    assert got == expected
    shifted = ordered[min(rank.lower + 1, n - 1)]
    assert rank.fraction == 0 or shifted != expected


def test_percentile_rank_is_computed_in_float32() -> None:
    # 0.95 * 171499 = 162924.05; float32 holds no such number.
    assert float(percentile_rank(171500).fraction) == pytest.approx(0.046875)


def test_too_many_values_for_a_joint_percentile() -> None:
    percentile_rank(2**24)
    with pytest.raises(UsageError, match="16777217"):
        percentile_rank(2**24 + 1)
