"""What every engine checks before it computes, and what it hands on."""

from __future__ import annotations

import threading
from typing import ClassVar

import numpy as np
import pytest
import torch

from apnet_fast.engines.base import Engine, check_gpu
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import RECIPES, RECIPES_OF, Predictions
from apnet_fast.support.errors import UsageError


class Echo(Engine):
    """An engine that keeps what it is given."""

    name: ClassVar[str] = "echo"
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")

    def _predict(self, flux, error, keys, draws, metadata):  # type: ignore[no-untyped-def]
        self.given = flux, error, keys, draws, metadata
        return self._predictions(np.zeros((len(flux), 1 + draws, 3), np.float32))


@pytest.fixture
def engine(small_checkpoint: Checkpoint) -> Echo:
    """An engine under the default recipe."""
    return Echo(small_checkpoint, RECIPES["dr19"], device="cpu", precision="fp32")


def test_flux_and_error_are_cleaned_and_the_rest_is_handed_on(engine: Echo) -> None:
    flux, error = np.full((2, 100), 10.0), np.ones((2, 100))
    flux[0, :5], error[1, :5] = np.nan, 1e10
    got = engine.predict(flux, error, np.array([1, 2], np.uint64), 3)
    clean_flux, clean_error, keys, draws, metadata = engine.given
    assert clean_flux.dtype == clean_error.dtype == np.float32
    assert clean_flux[0, :5].tolist() == [0] * 5
    assert clean_error[1, :5].tolist() == [5] * 5
    assert (keys.tolist(), draws, metadata) == ([1, 2], 3, None)
    assert isinstance(got, Predictions)
    assert (got.clean.shape, got.draws.shape, got.names) == ((2, 3), (2, 3, 3), ("logg", "log_teff", "fe_h"))


class Late(Echo):
    """An engine that computes when it is asked for its labels."""

    def _submit(self, *arguments):  # type: ignore[no-untyped-def]
        self.threads = [threading.get_ident()]

        def later() -> Predictions:
            self.threads.append(threading.get_ident())
            return self._predict(*arguments)

        return later


@pytest.mark.parametrize("forked", [False, True])
def test_after_a_fork_no_part_of_the_work_stays_in_the_thread_that_forked(
    forked: bool, small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Late(small_checkpoint, RECIPES["dr19"], device="cpu", precision="fp32")
    monkeypatch.setattr("apnet_fast.support.forks._forked", forked)
    ones = np.ones((1, 100), np.float32)
    engine.predict(ones, ones, np.array([1], np.uint64), 3)
    assert [thread != threading.get_ident() for thread in engine.threads] == [forked, forked]


@pytest.mark.parametrize(
    ("flux", "error", "keys", "words"),
    [
        ((2, 100), (2, 99), 2, "do not fit together"),
        ((2, 100), (2, 100), 1, "do not fit together"),
        ((100,), (100,), 100, "do not fit together"),
        ((2, 63), (2, 63), 2, "too short"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    flux: tuple[int, ...], error: tuple[int, ...], keys: int, words: str, engine: Echo
) -> None:
    with pytest.raises(UsageError, match=words):
        engine.predict(np.ones(flux), np.ones(error), np.zeros(keys, np.uint64), 3)


def test_precisions_and_devices_are_checked_by_name() -> None:
    Echo.check("fp32", "cuda:3")
    for precision, device, words in (
        ("fp16", "cpu", "cannot compute in this precision; got fp16"),
        ("fp32", "tpu", "does not run on this device; got tpu"),
        ("fp32", "cpu:0", "does not run on this device; got cpu:0"),
    ):
        with pytest.raises(UsageError, match=words):
            Echo.check(precision, device)


def test_a_recipe_of_another_network_is_refused(small_checkpoint: Checkpoint) -> None:
    with pytest.raises(UsageError, match=r"engine echo, recipe dr19 of v2, weights of v3"):
        Echo(small_checkpoint, RECIPES_OF["v2"]["dr19"], device="cpu", precision="fp32")


def test_gpus_that_torch_does_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for device in ("cpu", "cuda", "cuda:1"):
        check_gpu(device)
    for device in ("cuda:2", "cuda:x"):
        with pytest.raises(UsageError, match=r"expected one of 2: cuda:0 \.\. cuda:1"):
            check_gpu(device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UsageError, match="a machine with a GPU"):
        check_gpu("cuda")
