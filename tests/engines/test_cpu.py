"""The CPU engine: the battery, the full-size network, and results that do not depend on how it is driven."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from apnet_fast.engines import CpuEngine, ReferenceEngine, cpu
from apnet_fast.engines.cpu import LINEAR_ROWS, convolve
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


@pytest.fixture(scope="module")
def everywhere(full_checkpoint: Checkpoint) -> Checkpoint:
    """The full network with weights on every pooled position, chip gaps and ends included."""
    key = "linear_sequential.0.linear_layer.weight"
    weight = full_checkpoint.state[key]
    noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    return replace(full_checkpoint, state={**full_checkpoint.state, key: weight + 0.004 * noise})


@pytest.mark.parametrize("draws", [20, 6])
def test_number_of_threads_changes_no_byte(draws: int, everywhere: Checkpoint, rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 2)
    threads = torch.get_num_threads()
    results = set()
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            engine = CpuEngine(everywhere, RECIPES["dr19"])
            assert engine.threads == number
            results.add(engine.predict(flux, error, noise_keys(0, "ab"), draws).draws.tobytes())
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    assert len(results) == 1


def test_every_call_into_torch_runs_on_one_thread(
    small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()

    def watched(x: torch.Tensor, *more: object) -> torch.Tensor:
        seen.add(torch.get_num_threads())
        return original(x, *more)

    original = torch.nn.functional.linear
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        engine = CpuEngine(small_checkpoint, RECIPES["dr19"])
        monkeypatch.setattr("torch.nn.functional.linear", watched)
        monkeypatch.setattr(cpu, "convolve", lambda *given: seen.add(torch.get_num_threads()) or convolve(*given))
        engine.predict(*ordinary_spectra(np.random.default_rng(0), 3), noise_keys(0, "abc"), 2)
    finally:
        torch.set_num_threads(threads)
    assert seen == {1}
