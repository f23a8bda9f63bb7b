"""The check of the engines passes here, and a wrong engine does not pass."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from apnet_fast.doctor import selfcheck
from apnet_fast.engines import CpuEngine
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.recipes import Predictions


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the tests kernels run in Triton's interpreter, which is not a GPU."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


def test_the_engines_of_this_machine_pass() -> None:
    found = list(selfcheck.verdicts())
    assert [verdict.text for verdict in found if not verdict.passed] == []
    assert [verdict.name for verdict in found] == [
        "shipped weights",
        "v3, engine cpu, fp32, cpu",
        "v2, engine cpu, fp32, cpu",
        "v1, engine cpu, fp32, cpu",
    ]


def test_after_a_fork_the_checks_run_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apnet_fast.support.forks._forked", True)
    here = threading.get_ident()
    assert selfcheck._verdict("a check", lambda: (threading.get_ident() != here, "")).passed


def test_a_label_that_is_off_by_little_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right = CpuEngine._predict

    def wrong(*arguments: object) -> Predictions:
        predictions = right(*arguments)  # type: ignore[arg-type]
        clean = predictions.clean.copy()
        clean[1, 1] *= 1.0002
        return Predictions(clean, predictions.draws, predictions.names)

    monkeypatch.setattr(CpuEngine, "_predict", wrong)
    only_v3 = selfcheck.checks()[:1]
    monkeypatch.setattr(selfcheck, "checks", lambda: only_v3)
    failed = [verdict.name for verdict in selfcheck.verdicts() if not verdict.passed]
    assert failed == ["v3, engine cpu, fp32, cpu"]


def test_what_an_engine_raises_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Predictions:
        raise RuntimeError("an illegal instruction")

    monkeypatch.setattr(CpuEngine, "_predict", broken)
    two = selfcheck.checks()[:2]
    monkeypatch.setattr(selfcheck, "checks", lambda: two)
    found = list(selfcheck.verdicts())
    assert [verdict.passed for verdict in found] == [True, False, True]
    assert found[1].text == "RuntimeError: an illegal instruction"


def test_nan_is_an_infinite_error() -> None:
    checkpoint = random_checkpoint(1, selfcheck._SMALL["v3"])
    expected = np.ones((2, 3))
    got = expected.copy()
    assert selfcheck._largest_error(checkpoint, got, expected) == 0
    got[1, 2] = np.nan
    assert selfcheck._largest_error(checkpoint, got, expected) == np.inf


def test_a_gpu_is_checked_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {check.device for check in selfcheck.checks()} == {"cpu"}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    names = [check.name for check in selfcheck.checks() if check.device == "cuda:0"]
    assert names == [
        "v3, engine triton, fp32, cuda:0",
        "v3, engine triton, fp16, cuda:0",
        "v2, engine torch, fp32, cuda:0",
        "v1, engine torch, fp32, cuda:0",
    ]


def test_the_spectra_are_the_same_in_every_call() -> None:
    first, again = selfcheck.made_up_spectra(3), selfcheck.made_up_spectra(3)
    for a, b in zip(first, again, strict=True):
        assert (a.shape, a.dtype) == ((3, 8575), np.float32)
        np.testing.assert_array_equal(a, b)
