"""The CPU engine: the battery, the full-size network, and results that do not depend on how it is driven."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from apnet_fast.engines import CpuEngine, ReferenceEngine
from apnet_fast.engines.cpu import LINEAR_ROWS
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.philox import noise_keys
from apnet_fast.recipes import RECIPES
from tests.engines.battery import EngineBattery, assert_close, ordinary_spectra


class TestCpuEngine(EngineBattery):
    engine = CpuEngine


def test_full_size_network_against_float64(full_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 1)
    keys = noise_keys(0, "a")
    got = CpuEngine(full_checkpoint, RECIPES["dr19"]).predict(flux, error, keys, 4)
    truth = ReferenceEngine(full_checkpoint, RECIPES["dr19"], precision="fp64").predict(flux, error, keys, 4)
    assert_close(got, truth, full_checkpoint)


@pytest.mark.parametrize("draws", [20, 7])
def test_full_size_network_is_free_of_its_batch(
    draws: int, full_checkpoint: Checkpoint, rng: np.random.Generator
) -> None:
    flux, error = ordinary_spectra(rng, 4)
    keys = noise_keys(0, "abcd")
    engine = CpuEngine(full_checkpoint, RECIPES["dr19"])
    together = engine.predict(flux, error, keys, draws)
    for i in range(4):
        alone = engine.predict(flux[[i]], error[[i]], keys[[i]], draws)
        assert alone.draws[0].tobytes() == together.draws[i].tobytes()


def test_more_rows_than_a_linear_tile(small_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
    draws = LINEAR_ROWS + 2
    flux, error = ordinary_spectra(rng, 1)
    keys = noise_keys(0, "a")
    got = CpuEngine(small_checkpoint, RECIPES["dr19"]).predict(flux, error, keys, draws)
    truth = ReferenceEngine(small_checkpoint, RECIPES["dr19"], precision="fp64").predict(flux, error, keys, draws)
    assert_close(got, truth, small_checkpoint)


def test_number_of_threads_changes_no_byte(full_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 1)
    engine = CpuEngine(full_checkpoint, RECIPES["dr19"])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = engine.predict(flux, error, noise_keys(0, "a"), 20)
        torch.set_num_threads(2)
        two = engine.predict(flux, error, noise_keys(0, "a"), 20)
    finally:
        torch.set_num_threads(threads)
    assert one.draws.tobytes() == two.draws.tobytes()
