"""Orders of channels: whatever the widths, the prepared network computes what the plain one does."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.engines import CpuEngine, ReferenceEngine
from apnet_fast.engines.cpu.network import prepare
from apnet_fast.networks.folding import fold_v3
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.v3 import ArchitectureV3
from apnet_fast.recipes import RECIPES
from apnet_fast.recipes.noise import noise_keys
from tests.engines.battery import assert_close, ordinary_spectra


@pytest.mark.parametrize(
    "architecture",
    [
        ArchitectureV3(4, (1, 2), 30, 3, 16, 1, 8),
        ArchitectureV3(3, (1, 2, 3), 30, 3, 16, 1, 8),
        ArchitectureV3(6, (1, 3), 30, 3, 16, 2, 8),
        ArchitectureV3(8, (1, 1, 1), 30, 3, 16, 2, 300),
        ArchitectureV3(20, (1, 2), 11, 3, 16, 2, 8),
        ArchitectureV3(4, (1, 2), 64, 3, 16, 2, 8),
    ],
    ids=["small", "odd widths", "tripled", "narrow", "odd filter", "longest filter"],
)
def test_unusual_architectures(architecture: ArchitectureV3, rng: np.random.Generator) -> None:
    checkpoint = random_checkpoint(seed=2, architecture=architecture)
    flux, error = ordinary_spectra(rng, 1)
    keys = noise_keys(0, "a")
    got = CpuEngine(checkpoint, RECIPES["dr19"]).predict(flux, error, keys, 3)
    truth = ReferenceEngine(checkpoint, RECIPES["dr19"], precision="fp64").predict(flux, error, keys, 3)
    assert_close(got, truth, checkpoint)


def test_channels_that_a_block_adds_to_come_first() -> None:
    checkpoint = random_checkpoint(seed=2, architecture=ArchitectureV3(4, (1, 2, 4), 30, 3, 16, 1, 8))
    network = prepare(fold_v3(checkpoint, 8575), 8575)
    assert [(conv2.residual, conv2.outputs, conv2.lanes) for _, conv2 in network.convs] == [(4, 8, 4), (8, 16, 8)]
    assert (network.length, network.middle) == (4288, 4289)
