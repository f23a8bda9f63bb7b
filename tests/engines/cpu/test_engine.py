"""The CPU engine: the battery, the full-size network, and results that do not depend on how it is driven."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from apnet_fast.engines import CpuEngine, ReferenceEngine
from apnet_fast.engines.cpu.linear import ROWS
from apnet_fast.engines.cpu.trunk import Trunk
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.v3 import ArchitectureV3
from apnet_fast.recipes import RECIPES
from apnet_fast.recipes.noise import noise_keys
from apnet_fast.support.errors import UsageError
from tests.engines.battery import EngineBattery, assert_close, ordinary_spectra


class TestCpuEngine(EngineBattery):
    engine = CpuEngine


@pytest.mark.slow
def test_full_size_network_against_float64(full_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 1)
    keys = noise_keys(0, "a")
    got = CpuEngine(full_checkpoint, RECIPES["dr19"]).predict(flux, error, keys, 4)
    truth = ReferenceEngine(full_checkpoint, RECIPES["dr19"], precision="fp64").predict(flux, error, keys, 4)
    assert_close(got, truth, full_checkpoint)


@pytest.mark.slow
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


@pytest.mark.slow
def test_more_rows_than_a_linear_tile(small_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
    draws = ROWS + 2
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


@pytest.mark.slow
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


def test_every_call_into_torch_has_one_shape_and_one_thread(
    small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()

    def watched(name: str) -> None:
        original = getattr(torch, name)

        def call(*given: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
            seen.add((name, *(tuple(tensor.shape) for tensor in given), torch.get_num_threads()))
            return original(*given, **named)

        monkeypatch.setattr(torch, name, call)

    watched("bmm")
    watched("mm")
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        engine = CpuEngine(small_checkpoint, RECIPES["dr19"])
        engine.predict(*ordinary_spectra(np.random.default_rng(0), 1), noise_keys(0, "a"), 2)
        shapes = set(seen)
        engine.predict(*ordinary_spectra(np.random.default_rng(0), 7), noise_keys(0, "abcdefg"), 2)
        engine.predict(*ordinary_spectra(np.random.default_rng(0), 3), noise_keys(0, "abc"), 50)
    finally:
        torch.set_num_threads(threads)
    assert shapes == seen
    assert {threads for *_, threads in seen} == {1}


def test_a_failure_in_a_thread_reaches_the_caller_and_the_engine_goes_on(
    small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    flux, error = ordinary_spectra(rng, 9)
    keys = noise_keys(0, "abcdefghi")
    engine = CpuEngine(small_checkpoint, RECIPES["dr19"])
    expected = engine.predict(flux, error, keys, 2).draws
    with monkeypatch.context() as patch:
        patch.setattr(Trunk, "features", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.predict(flux, error, keys, 2)
    assert engine.predict(flux, error, keys, 2).draws.tobytes() == expected.tobytes()


def test_filters_that_are_too_long_are_refused(rng: np.random.Generator) -> None:
    checkpoint = random_checkpoint(seed=2, architecture=ArchitectureV3(4, (1, 2), 66, 3, 16, 2, 8))
    with pytest.raises(UsageError, match="--engine reference"):
        CpuEngine(checkpoint, RECIPES["dr19"]).predict(*ordinary_spectra(rng, 1), noise_keys(0, "a"), 2)


def test_nan_inside_the_network_reaches_the_labels(small_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 1)
    for key in ("first_conv.conv_layer.weight", "res_blocks.1.conv2.weight"):
        weight = small_checkpoint.state[key].clone()
        weight[0, 0, 3] = torch.nan
        broken = replace(small_checkpoint, state={**small_checkpoint.state, key: weight})
        got = CpuEngine(broken, RECIPES["dr19"]).predict(flux, error, noise_keys(0, "a"), 2)
        assert np.isnan(got.draws).all()
        assert np.isnan(got.clean).all()


@pytest.mark.parametrize("recipe", ["dr19", "astra-0.6"])
def test_parts_of_a_spectrum_in_many_threads_change_no_byte(
    recipe: str, small_checkpoint: Checkpoint, rng: np.random.Generator
) -> None:
    flux, error = ordinary_spectra(rng, 1)
    threads = torch.get_num_threads()
    results = set()
    try:
        for number in (1, 4, 64):
            torch.set_num_threads(number)
            engine = CpuEngine(small_checkpoint, RECIPES[recipe])
            results.add(engine.predict(flux, error, noise_keys(0, "a"), 20).draws.tobytes())
    finally:
        torch.set_num_threads(threads)
    assert len(results) == 1


@pytest.mark.slow
def test_rms_error_is_no_larger_than_that_of_eager_torch(full_checkpoint: Checkpoint) -> None:
    flux, error = ordinary_spectra(np.random.default_rng(3), 2)
    keys = noise_keys(0, "ab")
    truth = ReferenceEngine(full_checkpoint, RECIPES["dr19"], precision="fp64").predict(flux, error, keys, 4).draws
    eager = ReferenceEngine(full_checkpoint, RECIPES["dr19"]).predict(flux, error, keys, 4).draws
    ours = CpuEngine(full_checkpoint, RECIPES["dr19"]).predict(flux, error, keys, 4).draws

    def rms(labels: np.ndarray) -> float:
        off = (labels - truth) / np.asarray(full_checkpoint.scaling.std)
        return float(np.sqrt(np.mean(off**2, axis=(0, 1))).max())

    # Of eight rows each; the two differ by chance, too.
    assert rms(ours) <= 1.1 * rms(eager)
