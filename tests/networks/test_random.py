"""Random weights are good for trying out: finite labels in the range of stars, moved by the spectrum."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from apnet_fast.api import ApogeeNet
from apnet_fast.engines import CpuEngine
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.recipes import RECIPES
from apnet_fast.support.errors import UsageError
from tests.conftest import SMALL


def stars(rng: np.random.Generator, n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    flux = 10 ** rng.uniform(1.5, 4, (n, 1)) * (1 - 0.4 * rng.random((n, 8575)) ** 6)
    error = flux / 100
    gap = np.r_[0:220, 3317:3558, 6125:6315, 8378:8575]
    flux[:, gap], error[:, gap] = np.nan, np.nan
    return flux, error


@pytest.mark.slow
def test_labels_of_the_full_network_are_those_of_stars(full_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
    net = ApogeeNet(CpuEngine(full_checkpoint, RECIPES["astra-0.6"]))
    labels = net.predict(*stars(rng, 6), draws=0)
    assert np.isfinite(labels["teff"]).all()
    assert ((labels["teff"] > 1500) & (labels["teff"] < 40000)).all()
    assert (np.abs(labels["logg"] - 3.2) < 5).all()
    assert labels["teff"].std() > 50
    assert labels["logg"].std() > 0.05


def test_noise_moves_labels_less_than_stars_differ(small_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
    labels = ApogeeNet(CpuEngine(small_checkpoint, RECIPES["dr19"])).predict(*stars(rng))
    assert (labels["raw_e_logg"] > 0).all()
    assert np.median(labels["raw_e_logg"]) < labels["logg"].std()


def test_a_seed_gives_the_same_weights_and_another_seed_others() -> None:
    one, again, other = (random_checkpoint(seed, SMALL).state for seed in (3, 3, 4))
    key = "res_blocks.0.conv1.weight"
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one[key], other[key])


def test_a_network_or_an_architecture_must_be_given() -> None:
    with pytest.raises(UsageError, match=r'got neither.*network="v3"'):
        random_checkpoint(1)
    with pytest.raises(UsageError, match="got both"):
        random_checkpoint(1, SMALL, network="v3")
    with pytest.raises(UsageError, match="unknown network"):
        random_checkpoint(1, network="v4")
