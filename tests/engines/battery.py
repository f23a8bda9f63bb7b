"""The battery that every engine passes, present and to come: inherit it and name the engine.

Strict tier: labels of fp32 engines lie within 1e-5 of the float64 truth, relative to the label or, where that is near
zero, to the scatter of that label in the training set.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from apnet_fast.engines import Engine, ReferenceEngine
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import RECIPES_OF, Predictions
from apnet_fast.recipes.noise import noise_keys
from apnet_fast.support.errors import UsageError
from apnet_fast.support.grid import CHIP_GAPS, PIXELS

# Of a label plus its scatter in the training set. "halves" is for fp16 on random weights, which no training has made
# insensitive to rounding; what fp16 does to labels in units of their errors is measured apart.
# "eager" is for v2 and v1, plain fp32 without BatchNorm, on such weights: every order of summation, and so every type
# of processor, has other rounding errors, of 2e-6 rms and 1.2e-5 at most in 250 draws. For each of them 1e-5 would
# hold by luck; it holds for their rms.
# "lost" is for spectra that are nothing but noise to a network, whose labels lie thousands of K below zero.
TIERS = {"strict": 1e-5, "eager": 3e-5, "halves": 5e-3, "lost": 1e-4}


def ordinary_spectra(
    rng: np.random.Generator, n: int, snr: float = 100, pixels: int = PIXELS
) -> tuple[np.ndarray, np.ndarray]:
    """Flux and error float32 (n, pixels) with lines, gaps and bad pixels, as apStar files have them."""
    level = 10 ** rng.uniform(1.5, 4, (n, 1))
    truth = level * (1 - 0.4 * rng.random((n, pixels)) ** 6)
    error = np.broadcast_to(level / snr, truth.shape) * rng.uniform(0.8, 1.3, truth.shape)
    flux = rng.normal(truth, error)
    for start, stop in CHIP_GAPS:
        gap = slice(start * pixels // PIXELS, stop * pixels // PIXELS)
        flux[:, gap], error[:, gap] = np.nan, 0
    bad = rng.integers(pixels // 30, pixels // 3, pixels // 200)
    error[:, bad] = 1e10 * level
    return flux.astype(np.float32), error.astype(np.float32)


def strange_spectra(pixels: int = PIXELS) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Spectra at the edges of what the recipes define: flux and error float32 (pixels,) each."""
    index = np.arange(pixels)
    constant = np.full(pixels, 100, np.float32)
    ones = np.ones(pixels, np.float32)
    ties = np.where(index % 10, 100, 200).astype(np.float32)
    some_infinite = constant.copy()
    some_infinite[: pixels // 100] = np.inf
    return {
        "all equal": (constant, ones),
        "all at the floor": (-constant, 1e-3 * ones),
        "ties at the percentile": (ties, 0 * ones),
        "no errors known": (constant, np.nan * ones),
        "a few infinite pixels": (some_infinite, ones),
        "half negative": (np.where(index % 2, 50, -50).astype(np.float32), ones),
    }


def assert_close(got: Predictions, truth: Predictions, checkpoint: Checkpoint, tier: str = "strict") -> None:
    """Clean and drawn labels agree with the truth to the tier."""
    tolerance = TIERS[tier]
    for name in ("clean", "draws"):
        values, expected = getattr(got, name), getattr(truth, name)
        assert values.shape == expected.shape
        allowed = tolerance * (np.abs(expected) + np.asarray(checkpoint.scaling.std))
        used = np.abs(values - expected) / allowed
        worst = np.nanmax(used, initial=0)
        assert np.array_equal(np.isnan(values), np.isnan(expected)), f"{name}: NaN in other places"
        assert worst <= 1, f"{name}: {worst:.3g} times the {tier} tolerance"
        if tier == "eager" and np.isfinite(used).any():
            rms = np.sqrt(np.nanmean(used**2)) * tolerance
            assert rms <= TIERS["strict"], f"{name}: rms of {rms:.3g}, more than the strict tolerance"


class EngineBattery:
    """Tests of one engine; subclasses set `engine`, and how much of it they can afford.

    For another network than v3 they also set `network`, `clean_recipe` (one that needs no draws), `tap` (a weight in
    the middle), and give a fixture `small_checkpoint` of that network.
    """

    engine: ClassVar[type[Engine]]
    network: ClassVar[str] = "v3"
    clean_recipe: ClassVar[str] = "bossnet-2"
    strange_tiers: ClassVar[dict[str, str]] = {}
    tap: ClassVar[tuple[str, tuple[int, int, int]]] = ("res_blocks.1.conv2.weight", (3, 5, 29))
    precision: ClassVar[str] = "fp32"
    tier: ClassVar[str] = "strict"
    pixels: ClassVar[int] = PIXELS
    most_draws: ClassVar[int] = 20
    batch: ClassVar[int] = 9
    wrong_tap: ClassVar[float] = 0.02

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "recipe" in metafunc.fixturenames:
            metafunc.parametrize("recipe", RECIPES_OF[self.network])

    @property
    def default(self) -> str:
        return next(iter(RECIPES_OF[self.network]))

    def spectra(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        return ordinary_spectra(rng, n, pixels=self.pixels)

    def make(self, checkpoint: Checkpoint, recipe: str) -> Engine:
        return self.engine(checkpoint, RECIPES_OF[self.network][recipe], device="cpu", precision=self.precision)

    def truth(self, checkpoint: Checkpoint, recipe: str) -> Engine:
        return ReferenceEngine(checkpoint, RECIPES_OF[self.network][recipe], precision="fp64")

    def test_ordinary_spectra_against_float64(
        self, recipe: str, small_checkpoint: Checkpoint, rng: np.random.Generator
    ) -> None:
        flux, error = self.spectra(rng, 3)
        keys = noise_keys(0, "abc")
        got = self.make(small_checkpoint, recipe).predict(flux, error, keys, self.most_draws)
        truth = self.truth(small_checkpoint, recipe).predict(flux, error, keys, self.most_draws)
        assert_close(got, truth, small_checkpoint, self.tier)

    @pytest.mark.parametrize("name", strange_spectra())
    def test_strange_spectra_against_float64(self, name: str, recipe: str, small_checkpoint: Checkpoint) -> None:
        flux, error = (values[None] for values in strange_spectra(self.pixels)[name])
        keys = noise_keys(0, [name])
        got = self.make(small_checkpoint, recipe).predict(flux, error, keys, min(6, self.most_draws))
        truth = self.truth(small_checkpoint, recipe).predict(flux, error, keys, min(6, self.most_draws))
        assert_close(got, truth, small_checkpoint, self.strange_tiers.get(name, self.tier))

    def test_the_tolerance_catches_a_single_wrong_tap(
        self, small_checkpoint: Checkpoint, rng: np.random.Generator
    ) -> None:
        state = dict(small_checkpoint.state)
        key, place = self.tap
        weight = state[key].clone()
        weight[place] += self.wrong_tap
        broken = replace(small_checkpoint, state=state | {key: weight})
        flux, error = self.spectra(rng, 1)
        keys = noise_keys(0, "a")
        truth = self.truth(small_checkpoint, self.default).predict(flux, error, keys, 4)
        got = self.make(broken, self.default).predict(flux, error, keys, 4)
        with pytest.raises(AssertionError, match=f"times the {self.tier} tolerance"):
            assert_close(got, truth, small_checkpoint, self.tier)

    def test_batch_and_order_change_no_byte(
        self, recipe: str, small_checkpoint: Checkpoint, rng: np.random.Generator
    ) -> None:
        flux, error = self.spectra(rng, self.batch)
        keys = noise_keys(0, "abcdefghi"[: self.batch])
        engine = self.make(small_checkpoint, recipe)
        together = engine.predict(flux, error, keys, self.most_draws)
        order = rng.permutation(self.batch)
        shuffled = engine.predict(flux[order], error[order], keys[order], self.most_draws)
        assert shuffled.draws.tobytes() == together.draws[order].tobytes()
        assert shuffled.clean.tobytes() == together.clean[order].tobytes()
        for part in (slice(0, 1), slice(1, 3), slice(3, self.batch)):
            alone = engine.predict(flux[part], error[part], keys[part], self.most_draws)
            assert alone.draws.tobytes() == together.draws[part].tobytes()
            assert alone.clean.tobytes() == together.clean[part].tobytes()

    def test_a_bad_neighbour_changes_no_byte(self, small_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
        flux, error = self.spectra(rng, 2)
        keys = noise_keys(0, "ab")
        engine = self.make(small_checkpoint, self.default)
        before = engine.predict(flux, error, keys, 4)
        flux[1] = np.inf
        after = engine.predict(flux, error, keys, 4)
        assert after.draws[0].tobytes() == before.draws[0].tobytes()
        assert np.isnan(after.clean[1]).all()

    def test_keys_choose_the_noise_and_leave_the_clean_spectrum(
        self, small_checkpoint: Checkpoint, rng: np.random.Generator
    ) -> None:
        flux, error = self.spectra(rng, 1)
        engine = self.make(small_checkpoint, self.default)
        one, other = (engine.predict(flux, error, noise_keys(seed, "a"), 4) for seed in (0, 1))
        assert np.array_equal(one.clean, other.clean)
        assert not np.isclose(one.draws, other.draws, rtol=1e-4).any(axis=(0, 2)).all()

    def test_without_noise_every_draw_is_the_clean_spectrum(self, small_checkpoint: Checkpoint) -> None:
        # Known errors of zero count as missing, so a spectrum without noise is one whose median is zero.
        flux = np.zeros((1, self.pixels), np.float32)
        flux[0, : self.pixels // 2 - 100] = 7
        engine = self.make(small_checkpoint, self.default)
        got = engine.predict(flux, np.full_like(flux, np.nan), noise_keys(0, "a"), 3)
        np.testing.assert_allclose(got.draws[0], np.repeat(got.clean, 3, axis=0), rtol=1e-6)

    def test_no_draws(self, small_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
        flux, error = self.spectra(rng, 2)
        keys = noise_keys(0, "ab")
        got = self.make(small_checkpoint, self.clean_recipe).predict(flux, error, keys, 0)
        truth = self.truth(small_checkpoint, self.clean_recipe).predict(flux, error, keys, 0)
        assert got.draws.shape == (2, 0, 3)
        assert_close(got, truth, small_checkpoint, self.tier)

    def test_no_spectra(self, small_checkpoint: Checkpoint) -> None:
        nothing = np.empty((0, self.pixels), np.float32)
        got = self.make(small_checkpoint, self.default).predict(nothing, nothing, noise_keys(0, []), 20)
        assert (got.clean.shape, got.draws.shape) == ((0, 3), (0, 20, 3))

    def test_arguments_are_left_alone(self, small_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
        flux, error = self.spectra(rng, 1)
        before = flux.tobytes(), error.tobytes()
        self.make(small_checkpoint, self.default).predict(flux, error, noise_keys(0, "a"), 2)
        assert (flux.tobytes(), error.tobytes()) == before

    def test_any_memory_layout_and_float_type(self, small_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
        flux, error = self.spectra(rng, 2)
        keys = noise_keys(0, "ab")
        engine = self.make(small_checkpoint, self.default)
        plain = engine.predict(flux, error, keys, 2)
        big_endian = engine.predict(np.asfortranarray(flux.astype(">f8")), error.astype(">f8"), keys, 2)
        assert big_endian.draws.tobytes() == plain.draws.tobytes()

    @pytest.mark.parametrize(
        ("flux", "error", "keys", "words"),
        [
            ((2, PIXELS), (1, PIXELS), 2, "do not fit together"),
            ((2, PIXELS), (2, PIXELS), 1, "do not fit together"),
            ((PIXELS,), (PIXELS,), 1, "do not fit together"),
            ((1, 20), (1, 20), 1, "too short"),
        ],
    )
    def test_wrong_shapes_are_refused(
        self,
        small_checkpoint: Checkpoint,
        flux: tuple[int, ...],
        error: tuple[int, ...],
        keys: int,
        words: str,
    ) -> None:
        engine = self.make(small_checkpoint, self.default)
        with pytest.raises(UsageError, match=words):
            engine.predict(np.ones(flux), np.ones(error), noise_keys(0, map(str, range(keys))), 20)

    def test_too_few_draws_are_refused(self, small_checkpoint: Checkpoint) -> None:
        ones = np.ones((1, PIXELS), np.float32)
        with pytest.raises(UsageError, match="too few noise draws"):
            self.make(small_checkpoint, self.default).predict(ones, ones, noise_keys(0, "a"), 1)

    def test_a_precision_it_does_not_have_is_refused(self, small_checkpoint: Checkpoint) -> None:
        recipe = RECIPES_OF[self.network][self.default]
        with pytest.raises(UsageError, match=f"--precision {self.engine.precisions[0]}"):
            self.engine(small_checkpoint, recipe, device="cpu", precision="fp8")
