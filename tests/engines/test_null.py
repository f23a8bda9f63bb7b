"""The null engine looks at no spectrum."""

from __future__ import annotations

import numpy as np

from apnet_fast.engines import NullEngine
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import RECIPES


def test_labels_are_constant(small_checkpoint: Checkpoint) -> None:
    engine = NullEngine(small_checkpoint, RECIPES["dr19"], device="cpu", precision="fp32")
    flux = np.random.default_rng(0).normal(size=(3, 100)).astype(np.float32)
    got = engine.predict(flux, flux, np.zeros(3, np.uint64), 5)
    assert got.draws.shape == (3, 5, 3)
    assert np.unique(got.draws[..., 1]).tolist() == [np.float32(3.7)]
