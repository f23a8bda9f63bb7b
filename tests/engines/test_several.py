"""Several devices are one engine: the same bytes, in the order of the spectra."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.engines import ReferenceEngine
from apnet_fast.engines.several import SeveralDevices
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import RECIPES
from apnet_fast.recipes.noise import noise_keys


def engines(checkpoint: Checkpoint, number: int) -> list[ReferenceEngine]:
    return [ReferenceEngine(checkpoint, RECIPES["dr19"]) for _ in range(number)]


@pytest.mark.parametrize("n", [0, 1, 5])
def test_parts_change_no_byte(n: int, small_checkpoint: Checkpoint) -> None:
    rng = np.random.default_rng(0)
    flux, error = rng.normal(500, 50, (n, 200)).astype(np.float32), np.full((n, 200), 5, np.float32)
    keys = noise_keys(0, map(str, range(n)))
    alone, both = engines(small_checkpoint, 1)[0], SeveralDevices(engines(small_checkpoint, 3))
    expected, got = (engine.predict(flux, error, keys, 2) for engine in (alone, both))
    assert got.clean.tobytes() == expected.clean.tobytes()
    assert got.draws.tobytes() == expected.draws.tobytes()
    assert got.names == expected.names


def test_it_stands_for_its_engines(small_checkpoint: Checkpoint) -> None:
    both = SeveralDevices(engines(small_checkpoint, 2))
    assert both.device == "cpu,cpu"
    assert (both.recipe, both.precision) == (RECIPES["dr19"], "fp32")


def test_a_failure_of_one_device_reaches_the_caller(small_checkpoint: Checkpoint) -> None:
    made = engines(small_checkpoint, 2)
    made[1]._predict = lambda *given: 1 / 0  # type: ignore[method-assign, assignment]
    ones = np.ones((2, 200), np.float32)
    with pytest.raises(ZeroDivisionError):
        SeveralDevices(made).predict(ones, ones, noise_keys(0, "ab"), 2)
