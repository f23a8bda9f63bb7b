"""What a tile computes: differences from the clean spectrum, at any noise, in any company."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.engines.reference import ReferenceEngine
from apnet_fast.engines.tile_network import TileNetwork, clean_up_of, preprocessing
from apnet_fast.engines.triton import TritonEngine, interpreted
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.folding import fold_v3
from apnet_fast.recipes import RECIPES, percentile_rank
from apnet_fast.recipes.noise import noise_keys
from apnet_fast.spectra import read_apstar
from apnet_fast.support.errors import UsageError
from benchmarks.gpu import limit_of
from benchmarks.gpu_kernels import kernel_errors, tile_of
from tests.engines.battery import ordinary_spectra
from tests.engines.test_triton import PIXELS, small_tiles

DRAWS = 6
# Of the scatter of a spectrum's draws.
SHIFT = 0.02


@pytest.fixture(autouse=True, scope="module")
def _interpreter() -> None:
    if not interpreted():
        pytest.skip("kernels were compiled for a GPU in this process; benchmarks.gpu checks them there")


def outputs(network: TileNetwork, flux: np.ndarray, error: np.ndarray, keys: np.ndarray) -> np.ndarray:
    tile = tile_of(network, flux, error, keys)
    network.compute(tile.flux, tile.error, tile.keys, tile.outputs, len(flux))
    return tile.outputs.numpy()


def spectra_and_keys(spectra: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (*ordinary_spectra(np.random.default_rng(0), spectra, 50, PIXELS), noise_keys(0, "ab"[:spectra]))


def tile_network(checkpoint: Checkpoint, recipe: str, spectra: int, draws: int = DRAWS, group: int = 4) -> TileNetwork:
    tuning = small_tiles(tile_rows=spectra * (1 + draws), group_rows=group)
    return TileNetwork(checkpoint, RECIPES[recipe], tuning, torch.device("cpu"), PIXELS, draws)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_labels_move_by_little_at_any_noise(recipe: str, small_checkpoint: Checkpoint) -> None:
    # Gaps are at the floor in the clean spectrum, and draws jump from it; at S/N 5 whole stretches do.
    parts = [ordinary_spectra(np.random.default_rng(i), 1, snr, PIXELS) for i, snr in enumerate((5, 50, 500))]
    flux, error = (np.concatenate(values) for values in zip(*parts, strict=True))
    keys = noise_keys(0, "abc")
    got = outputs(tile_network(small_checkpoint, recipe, 3), flux, error, keys)
    truth = ReferenceEngine(small_checkpoint, RECIPES[recipe], precision="fp64").predict(flux, error, keys, DRAWS)
    scaling = small_checkpoint.scaling
    draws, clean = ((x - np.asarray(scaling.mean)) / np.asarray(scaling.std) for x in (truth.draws, truth.clean))
    sigma = draws.std(axis=1, ddof=1)
    assert (np.abs(got[:, 0] - clean) / sigma).max() < SHIFT / 4
    assert (np.abs(np.median(got[:, 1:], axis=1) - np.median(draws, axis=1)) / sigma).max() < SHIFT
    # Noise of another spectrum is far outside.
    assert (np.abs(np.median(got[:, 1:], axis=1) - np.median(draws[::-1], axis=1)) / sigma).max() > SHIFT


def test_every_kernel_is_its_twin_and_a_wrong_one_is_seen(small_checkpoint: Checkpoint) -> None:
    network = tile_network(small_checkpoint, "astra-0.6", 2, 3)
    given = spectra_and_keys(2)
    folded = fold_v3(small_checkpoint, PIXELS)
    errors = kernel_errors(network, folded, RECIPES["astra-0.6"], *given)
    assert {"noise, floor, log, clip", "stem", "block 0 conv1", "block 1 conv2 clean", "pool"} < set(errors)
    assert {name: error for name, error in errors.items() if not error < 1e-3} == {}
    assert all(error < 5e-6 for name, error in errors.items() if "clean" in name)
    conv1, conv2 = network.blocks[1]
    network.blocks[1] = [conv1, replace(conv2, high=conv2.high * 1.01)]
    wrong = kernel_errors(network, folded, RECIPES["astra-0.6"], *given)
    assert wrong["block 1 conv2"] > 3e-3
    assert wrong["block 1 conv2 clean"] > 3e-3
    assert wrong["block 1 conv1"] < 1e-3


@pytest.mark.parametrize("draw", [0, 3, 4])
def test_a_fault_in_one_draw_of_one_group_is_seen(
    draw: int, small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tile_network(small_checkpoint, "dr19", 1, 5, group=2)
    given = spectra_and_keys(1)
    right = network.compute_group

    def wrong_in_one(first: int) -> None:
        right(first)
        if first <= draw < first + 2:
            network.inputs[1].rows()[0, draw - first, : network.length] *= 1.01
            network.features[draw] *= 1.5

    monkeypatch.setattr(network, "compute_group", wrong_in_one)
    errors = kernel_errors(network, fold_v3(small_checkpoint, PIXELS), RECIPES["dr19"], *given)
    assert errors["block 0 conv2"] > 3e-3
    assert errors["pool"] > 0.3
    assert errors["block 0 conv1"] < 1e-3


@pytest.mark.parametrize("draw", [0, 3])
def test_wrong_features_of_a_tile_are_seen_though_the_groups_are_computed_again(
    draw: int, small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tile_network(small_checkpoint, "dr19", 1, 5, group=2)
    given = spectra_and_keys(1)
    compute = network.compute

    def wrong(*tile: object) -> None:
        compute(*tile)  # type: ignore[arg-type]
        network.features[draw] *= 1.5

    monkeypatch.setattr(network, "compute", wrong)
    errors = kernel_errors(network, fold_v3(small_checkpoint, PIXELS), RECIPES["dr19"], *given)
    assert errors["pool"] > 0.3
    assert errors["linear layers, draws"] > 3e-3
    assert errors["block 1 conv2"] < 1e-3


def test_a_fault_in_the_last_clean_spectrum_alone_is_seen(
    small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tile_network(small_checkpoint, "dr19", 2, 1)
    given = spectra_and_keys(2)
    compute = network.compute

    def wrong_at_the_end(*tile: object) -> None:
        compute(*tile)  # type: ignore[arg-type]
        network.clean_inputs[1].rows()[0, -1, : network.length] *= 1.01

    monkeypatch.setattr(network, "compute", wrong_at_the_end)
    errors = kernel_errors(network, fold_v3(small_checkpoint, PIXELS), RECIPES["dr19"], *given)
    assert errors["block 0 conv2 clean, halves"] > 3e-3
    assert errors["block 0 conv1"] < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["dr19", "astra-0.6"])
def test_a_real_spectrum(recipe: str, small_checkpoint: Checkpoint, data: Path) -> None:
    """Of full length, with its gaps, bad pixels and errors of 1e10: kernels against twins, labels against float64."""
    batch = read_apstar(str(min(data.glob("apstar/*.fits"))))
    flux, error = batch.flux[:1], batch.error[:1]
    keys = noise_keys(0, [batch.records[0].identity])
    draws = 4
    tuning = small_tiles(tile_rows=1 + draws, group_rows=3)
    engine = TritonEngine(small_checkpoint, RECIPES[recipe], device="cpu", tuning=tuning)
    network = engine.queue(flux.shape[1], draws).network
    assert isinstance(network, TileNetwork)
    errors = kernel_errors(network, fold_v3(small_checkpoint, flux.shape[1]), RECIPES[recipe], flux, error, keys)
    assert {name: value for name, value in errors.items() if not value < limit_of(name)} == {}
    got = engine.predict(flux, error, keys, draws)
    truth = ReferenceEngine(small_checkpoint, RECIPES[recipe], precision="fp64").predict(flux, error, keys, draws)
    sigma = truth.draws.std(axis=1, ddof=1)
    assert (np.abs(got.clean - truth.clean) / sigma).max() < SHIFT / 4
    assert (np.abs(got.draws - truth.draws) / sigma[:, None]).max() < SHIFT
    # Another visit of the star is far outside.
    other = ReferenceEngine(small_checkpoint, RECIPES[recipe]).predict(batch.flux[2:3], batch.error[2:3], keys, draws)
    assert (np.abs(other.clean - truth.clean) / sigma).max() > SHIFT


def test_an_infinite_neighbour_changes_no_byte(small_checkpoint: Checkpoint) -> None:
    network = tile_network(small_checkpoint, "dr19", 3, 2)
    flux, error = ordinary_spectra(np.random.default_rng(0), 3, 50, PIXELS)
    keys = noise_keys(0, "abc")
    before = outputs(network, flux, error, keys)
    flux[1] = np.inf
    after = outputs(network, flux, error, keys)
    assert after[[0, 2]].tobytes() == before[[0, 2]].tobytes()
    assert not np.isfinite(after[1]).any()


def test_an_unknown_rule_of_error_clean_up_is_refused() -> None:
    with pytest.raises(UsageError, match="rule of error clean-up"):
        clean_up_of(replace(RECIPES["dr19"], missing_errors="flux"))


def test_ranks_are_of_one_row_and_of_all_draws() -> None:
    how = preprocessing(RECIPES["astra-0.6"], 101, 20)
    one, all_draws = percentile_rank(101), percentile_rank(20 * 101)
    assert (how.lower, how.upper) == (one.lower, one.upper)
    assert how.joint
    assert (how.joint_lower, how.joint_upper) == (all_draws.lower, all_draws.upper)
    assert all_draws.lower > one.upper
