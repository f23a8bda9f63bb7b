"""ApogeeNet v2 and v1: the battery for every engine that has them, whole recipes against a literal evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from apnet_fast.engines import ReferenceEngine, SeveralDevices, create_engine, default_precision, find_engine
from apnet_fast.engines import vgg as vgg_module
from apnet_fast.engines.base import Engine
from apnet_fast.engines.vgg import VggCpuEngine, VggTorchEngine
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.kinds import Architecture
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.v1 import ArchitectureV1
from apnet_fast.networks.v2 import ArchitectureV2
from apnet_fast.recipes import RECIPES, RECIPES_OF, Predictions, get_recipe
from apnet_fast.recipes.noise import noise_keys, normals
from apnet_fast.spectra import read_apstar
from apnet_fast.support.errors import UsageError
from tests.engines.battery import PIXELS, EngineBattery, assert_close, ordinary_spectra
from tests.literal_vgg import evaluate

SMALL: dict[str, Architecture] = {
    "v2": ArchitectureV2(channels=(4, 4, 4, 8, 8, 8), linear_dim=32, metadata_dims=(8, 16)),
    "v1": ArchitectureV1(channels=(4, 4, 4, 8, 8, 8), linear_dim=32),
}
EVERY_RECIPE = [(network, recipe) for network in ("v2", "v1") for recipe in RECIPES_OF[network]]
LABELS = ("teff", "logg", "fe_h")


@pytest.fixture(scope="module")
def small() -> dict[str, Checkpoint]:
    """Networks of small size, by name."""
    return {network: random_checkpoint(1, architecture) for network, architecture in SMALL.items()}


@pytest.fixture(scope="module")
def full() -> dict[str, Checkpoint]:
    """Networks of the real size, by name."""
    return {network: random_checkpoint(1, network=network) for network in SMALL}


class TorchOnTheCpu(VggTorchEngine):
    """The engine for GPUs, where there is none."""

    devices: ClassVar[tuple[str, ...]] = ("cpu",)


class V2Battery(EngineBattery):
    network: ClassVar[str] = "v2"
    clean_recipe: ClassVar[str] = "apogeenet-2"
    tap = ("conv8.weight", (3, 5, 1))
    wrong_tap: ClassVar[float] = 0.1
    tier: ClassVar[str] = "eager"
    most_draws: ClassVar[int] = 6

    @pytest.fixture
    def small_checkpoint(self, small: dict[str, Checkpoint]) -> Checkpoint:
        return small[self.network]

    def test_without_noise_every_draw_is_the_clean_spectrum(self, small_checkpoint: Checkpoint) -> None:
        # Under the recipe of the ApogeeNet2 package a missing error is not an error.
        flux = np.full((1, self.pixels), 100, np.float32)
        got = self.make(small_checkpoint, "apogeenet-2").predict(
            flux, np.full_like(flux, np.nan), noise_keys(0, "a"), 3
        )
        np.testing.assert_allclose(got.draws[0], np.repeat(got.clean, 3, axis=0), rtol=1e-6)

    def test_another_number_of_pixels_is_refused(self, small_checkpoint: Checkpoint) -> None:
        ones = np.ones((1, 8000), np.float32)
        with pytest.raises(UsageError, match="expected 8575 pixels"):
            self.make(small_checkpoint, self.default).predict(ones, ones, noise_keys(0, "a"), 3)


class V1Battery(V2Battery):
    network: ClassVar[str] = "v1"
    # Its missing errors, known ones of zero among them, become the flux itself.
    strange_tiers: ClassVar[dict[str, str]] = {"no errors known": "lost", "ties at the percentile": "lost"}

    def test_no_draws(self, small_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
        flux, error = self.spectra(rng, 1)
        with pytest.raises(UsageError, match="--draws 100"):
            self.make(small_checkpoint, self.default).predict(flux, error, noise_keys(0, "a"), 0)

    def test_a_bad_neighbour_changes_no_byte(self, small_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
        # v1 replaces infinite flux like any missing one, so the neighbour has labels.
        flux, error = self.spectra(rng, 2)
        engine = self.make(small_checkpoint, self.default)
        before = engine.predict(flux, error, noise_keys(0, "ab"), 4)
        flux[1] = np.inf
        after = engine.predict(flux, error, noise_keys(0, "ab"), 4)
        assert after.draws[0].tobytes() == before.draws[0].tobytes()
        assert after.draws[1].tobytes() != before.draws[1].tobytes()

    def test_without_noise_every_draw_is_the_clean_spectrum(self, small_checkpoint: Checkpoint) -> None:
        flux = np.zeros((1, self.pixels), np.float32)  # whose missing errors become the flux
        got = self.make(small_checkpoint, self.default).predict(flux, np.full_like(flux, np.nan), noise_keys(0, "a"), 3)
        np.testing.assert_allclose(got.draws[0], np.repeat(got.clean, 3, axis=0), rtol=1e-6)


class TestReferenceV2(V2Battery):
    engine = ReferenceEngine


class TestReferenceV1(V1Battery):
    engine = ReferenceEngine


class TestCpuV2(V2Battery):
    engine = VggCpuEngine


class TestCpuV1(V1Battery):
    engine = VggCpuEngine


class TestTorchV2(V2Battery):
    engine = TorchOnTheCpu


class TestTorchV1(V1Battery):
    engine = TorchOnTheCpu


def photometry(n: int) -> np.ndarray:
    """Ordinary stars; the second lacks a magnitude, the third has a parallax that Astra takes for missing."""
    rng = np.random.default_rng(0)
    values = np.array([2, 13, 13.5, 12.3, 11, 10.4, 10.2]) + rng.normal(0, [1, 1, 1, 1, 1, 1, 1], (n, 7))
    if n > 1:
        values[1, 4] = np.nan
    if n > 2:
        values[2, 0] = -1.5
    return values.astype(np.float32)


def predicted(
    engine: Engine, flux: np.ndarray, error: np.ndarray, draws: int, known: np.ndarray
) -> dict[str, np.ndarray]:
    """Label columns, by name."""
    keys = noise_keys(5, map(str, range(len(flux))))
    labels = engine.recipe.summarise(engine.predict(flux, error, keys, draws, known), np.ones(len(flux), bool), known)
    names = [f"{kind.format(name)}" for name in LABELS for kind in ("{}", "raw_e_{}", "{}_sample_median")]
    return {name: getattr(labels, name) for name in names}


def assert_literal(
    engine: Engine, flux: np.ndarray, error: np.ndarray, draws: int, known: np.ndarray, rel: float = 1e-4
) -> None:
    """Every label of every spectrum is that of the literal evaluation; where [Fe/H] is near 0, to that part of 0.3.

    An error may also differ by the rounding of the labels that it is the scatter of.
    """
    keys = noise_keys(5, map(str, range(len(flux))))
    got = predicted(engine, flux, error, draws, known)
    noise = normals(keys, draws, PIXELS)
    checkpoint = engine.checkpoint
    for i in range(len(flux)):
        expected = evaluate(
            checkpoint.network, engine.recipe.name, checkpoint.state, flux[i], error[i], noise[i], known[i]
        )
        for name, value in expected.items():
            scale = 0.3 if "fe_h" in name else abs(expected[name.removeprefix("raw_e_")])
            slack = (1e-6 if name.startswith("raw_e_") else rel) * scale
            assert got[name][i] == pytest.approx(value, rel=rel, abs=slack), (name, i)


@pytest.mark.parametrize("engine", [ReferenceEngine, VggCpuEngine, TorchOnTheCpu])
@pytest.mark.parametrize(("network", "recipe"), EVERY_RECIPE)
def test_recipes_equal_their_literal_evaluation(
    network: str, recipe: str, engine: type[Engine], small: dict[str, Checkpoint], rng: np.random.Generator
) -> None:
    flux, error = ordinary_spectra(rng, 3, snr=20)
    error[:, 1000:1010] = 1e10
    made = engine(small[network], RECIPES_OF[network][recipe], device="cpu", precision="fp32")
    assert_literal(made, flux, error, 10, photometry(3))


@pytest.mark.parametrize("network", ["v2", "v1"])
def test_full_size_networks_equal_their_literal_evaluation(
    network: str, full: dict[str, Checkpoint], rng: np.random.Generator
) -> None:
    flux, error = ordinary_spectra(rng, 1)
    engine = VggCpuEngine(full[network], RECIPES_OF[network][next(iter(RECIPES_OF[network]))])
    assert_literal(engine, flux, error, 40, photometry(1))


@pytest.mark.parametrize("network", ["v2", "v1"])
def test_real_spectra_equal_their_literal_evaluation(network: str, full: dict[str, Checkpoint], data: Path) -> None:
    path = next(path for path in sorted(data.rglob("*.fits*")) if path.name.startswith(("apStar", "asStar")))
    batch = read_apstar(str(path), ("star", "visit"))
    flux, error = batch.flux[batch.usable][:2], batch.error[batch.usable][:2]
    for recipe in RECIPES_OF[network].values():
        assert_literal(VggCpuEngine(full[network], recipe), flux, error, 4, photometry(len(flux)))


def test_the_literal_evaluation_notices_other_draws_photometry_and_weights(
    small: dict[str, Checkpoint], rng: np.random.Generator
) -> None:
    flux, error = ordinary_spectra(rng, 1)
    checkpoint = small["v2"]
    engine = VggCpuEngine(checkpoint, RECIPES_OF["v2"]["astra-0.6"])
    assert_literal(engine, flux, error, 4, photometry(1))
    engine.checkpoint = replace(
        checkpoint, state={**checkpoint.state, "conv3.weight": checkpoint.state["conv3.weight"] * 1.01}
    )
    with pytest.raises(AssertionError):
        assert_literal(engine, flux, error, 4, photometry(1))
    engine.checkpoint = checkpoint
    for other in ("dr19", "apogeenet-2"):
        engine.recipe = replace(RECIPES_OF["v2"][other], name="astra-0.6")
        with pytest.raises(AssertionError):
            assert_literal(engine, flux, error, 4, photometry(1))


def test_photometry_moves_v2_and_leaves_v1(small: dict[str, Checkpoint], rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 2)
    keys = noise_keys(0, "ab")
    for network, moved in (("v2", True), ("v1", False)):
        engine = create_engine("cpu", small[network], next(iter(RECIPES_OF[network].values())))
        unknown, nothing, known = (
            engine.predict(flux, error, keys, 3, given)
            for given in (None, np.full((2, 7), np.nan, np.float32), photometry(2))
        )
        assert unknown.draws.tobytes() == nothing.draws.tobytes()
        assert (known.draws.tobytes() != unknown.draws.tobytes()) == moved
        with pytest.raises(UsageError, match="photometry does not fit"):
            engine.predict(flux, error, keys, 3, photometry(1))


@pytest.mark.parametrize("engine", [ReferenceEngine, VggCpuEngine, TorchOnTheCpu])
def test_photometry_goes_with_its_spectrum(
    engine: type[Engine], small: dict[str, Checkpoint], rng: np.random.Generator
) -> None:
    flux, error = ordinary_spectra(rng, 5)
    keys, known, recipe = noise_keys(0, "abcde"), photometry(5), RECIPES_OF["v2"]["astra-0.6"]
    made = [engine(small["v2"], recipe, device="cpu", precision="fp32") for _ in range(2)]
    together = made[0].predict(flux, error, keys, 3, known)
    order = rng.permutation(5)
    shuffled = made[0].predict(flux[order], error[order], keys[order], 3, known[order])
    assert shuffled.draws.tobytes() == together.draws[order].tobytes()
    assert SeveralDevices(made).predict(flux, error, keys, 3, known).draws.tobytes() == together.draws.tobytes()
    astray = made[0].predict(flux, error, keys, 3, known[order])
    assert astray.draws.tobytes() != together.draws.tobytes()


def test_v1_speaks_kelvin(small: dict[str, Checkpoint], rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 1)
    engine = create_engine("auto", small["v1"], RECIPES_OF["v1"]["astra-2020"])
    got = engine.predict(flux, error, noise_keys(0, "a"), 2)
    assert got.names == ("logg", "teff", "fe_h")
    assert 2000 < got.clean[0, 1] < 9000


@pytest.mark.parametrize("number", [1, 2, 3])
def test_number_of_threads_changes_no_byte(
    number: int, full: dict[str, Checkpoint], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    flux, error = ordinary_spectra(rng, 2)
    recipe = RECIPES_OF["v2"]["astra-0.6"]
    alone = VggCpuEngine(full["v2"], recipe).predict(flux[[1]], error[[1]], noise_keys(0, "b"), 3)
    threads = torch.get_num_threads()
    seen = set()
    try:
        torch.set_num_threads(number)
        engine = VggCpuEngine(full["v2"], recipe)
        for name, module in engine.network.named_modules():
            if name.startswith(("conv", "fc")):
                module.register_forward_hook(lambda *given: seen.add(torch.get_num_threads()))
        together = engine.predict(flux, error, noise_keys(0, "ab"), 3)
        assert (engine.threads, torch.get_num_threads()) == (number, number)
    finally:
        torch.set_num_threads(threads)
    assert seen == {1}
    assert together.draws[1].tobytes() == alone.draws[0].tobytes()


def test_chunks_cut_rows_anywhere(
    small: dict[str, Checkpoint], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    flux, error = ordinary_spectra(rng, 3)
    keys, recipe = noise_keys(0, "abc"), RECIPES_OF["v2"]["astra-0.6"]
    truth = ReferenceEngine(small["v2"], recipe, precision="fp64").predict(flux, error, keys, 6, photometry(3))
    for rows in (1, 5, 7):
        monkeypatch.setattr(vgg_module, "CHUNK_ROWS", rows)
        got = VggCpuEngine(small["v2"], recipe).predict(flux, error, keys, 6, photometry(3))
        assert_close(got, truth, small["v2"], V2Battery.tier)


@pytest.mark.parametrize("network", ["v2", "v1"])
def test_engines_of_a_network(network: str, small: dict[str, Checkpoint]) -> None:
    recipe = next(iter(RECIPES_OF[network].values()))
    assert isinstance(create_engine("auto", small[network], recipe), VggCpuEngine)
    assert isinstance(create_engine("cpu", small[network], recipe), VggCpuEngine)
    assert isinstance(create_engine("reference", small[network], recipe, precision="fp64"), ReferenceEngine)
    null = create_engine("null", small[network], recipe).predict(np.ones((2, 9)), np.ones((2, 9)), np.zeros(2), 3)
    assert null.names == small[network].scaling.names
    for device in ("cpu", "cuda:0"):
        with pytest.raises(UsageError, match=rf"triton does not compute ApogeeNet {network}.*--engine auto"):
            find_engine("triton", "fp32", device, network)
    with pytest.raises(UsageError, match="cannot compute in this precision"):
        find_engine("cpu", "fp16", "cpu", network)
    with pytest.raises(UsageError, match="torch does not compute ApogeeNet v3"):
        find_engine("torch", "fp32", "cuda", "v3")
    with pytest.raises(UsageError, match="unknown engine"):
        find_engine("warp", "fp32", "cpu", network)


@pytest.mark.parametrize("network", ["v2", "v1"])
@pytest.mark.parametrize("name", ["cpu", "reference", "null"])
def test_every_engine_names_the_labels_of_its_network(
    name: str, network: str, small: dict[str, Checkpoint], rng: np.random.Generator
) -> None:
    engine = create_engine(name, small[network], get_recipe(None, network))
    flux, error = engine._clean(*ordinary_spectra(rng, 1))
    metadata = engine._metadata(photometry(1))
    # Before anything is put around it: who works with an engine's own output must not find log Teff called Teff.
    assert engine._predict(flux, error, noise_keys(0, "a"), 2, metadata).names == small[network].scaling.names
    with pytest.raises(TypeError, match="names"):
        Predictions(np.zeros((1, 3)), np.zeros((1, 2, 3)))  # type: ignore[call-arg]


def test_on_a_gpu_auto_is_torch_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for network in ("v2", "v1"):
        precision = default_precision("auto", "cuda:0", network)
        assert precision == "fp32"
        assert find_engine("auto", precision, "cuda:0", network) is VggTorchEngine
    assert default_precision("auto", "cuda:0", "v3") == "fp16"


def test_a_recipe_of_another_network_is_refused(small: dict[str, Checkpoint], small_checkpoint: Checkpoint) -> None:
    with pytest.raises(UsageError, match=r"do not fit together.*recipe dr19 of v3, weights of v2"):
        create_engine("cpu", small["v2"], RECIPES["dr19"])
    with pytest.raises(UsageError, match="do not fit together"):
        create_engine("cpu", small_checkpoint, RECIPES_OF["v2"]["dr19"])
    with pytest.raises(UsageError, match="do not fit together"):
        VggCpuEngine(small_checkpoint, RECIPES["dr19"])
