"""Switches of the process that several threads need: set by the first, put back by the last."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from apnet_fast.engines import ReferenceEngine
from apnet_fast.engines.full_fp32 import full_fp32
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import RECIPES
from apnet_fast.recipes.noise import noise_keys
from tests.engines.battery import ordinary_spectra


def switches() -> dict[str, bool]:
    cudnn = torch.backends.cudnn
    return {name: getattr(cudnn, name) for name in ("enabled", "benchmark", "deterministic", "allow_tf32")}


FULL = {"enabled": True, "benchmark": False, "deterministic": True, "allow_tf32": False}


@pytest.fixture(autouse=True)
def _others() -> Iterator[None]:
    with torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=True):
        yield


def test_whoever_leaves_last_puts_them_back() -> None:
    before = switches()
    assert before != FULL
    first, second = full_fp32(), full_fp32()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert switches() == FULL
    second.__exit__(None, None, None)
    assert switches() == before


def test_an_error_puts_them_back() -> None:
    before = switches()
    with pytest.raises(ValueError, match="any"), full_fp32():
        raise ValueError("any")
    assert switches() == before


def test_the_reference_engine_computes_with_cudnn_in_full_fp32(
    small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, found = ReferenceEngine(small_checkpoint, RECIPES["dr19"]), []
    network = engine.network

    def watched(x: torch.Tensor) -> torch.Tensor:
        found.append(switches())
        return network(x)

    monkeypatch.setattr(engine, "network", watched)
    engine.predict(*ordinary_spectra(np.random.default_rng(0), 1, pixels=963), noise_keys(0, "a"), 2)
    assert found == [FULL]
