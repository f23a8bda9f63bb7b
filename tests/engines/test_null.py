"""The null engine looks at no spectrum."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.engines import NullEngine, create_engine
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import RECIPES
from apnet_fast.support.errors import UsageError


def test_labels_are_constant(small_checkpoint: Checkpoint) -> None:
    engine = NullEngine(small_checkpoint, RECIPES["dr19"], device="cpu", precision="fp32")
    flux = np.random.default_rng(0).normal(size=(3, 100)).astype(np.float32)
    got = engine.predict(flux, flux, np.zeros(3, np.uint64), 5)
    assert got.draws.shape == (3, 5, 3)
    assert np.unique(got.draws[..., 1]).tolist() == [np.float32(3.7)]


def test_engines_by_name(small_checkpoint: Checkpoint) -> None:
    assert create_engine("auto", small_checkpoint, RECIPES["dr19"]).name == "cpu"
    with pytest.raises(UsageError, match=r"auto \| triton \| cpu \| reference \| null"):
        create_engine("gpu", small_checkpoint, RECIPES["dr19"])
