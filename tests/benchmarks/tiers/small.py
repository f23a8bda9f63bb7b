"""Weights of a small network for the tiers."""

from __future__ import annotations

from pathlib import Path

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.random import random_checkpoint
from tests.conftest import SMALL


def small_weights(folder: Path) -> tuple[Path, Checkpoint]:
    """Save a small network in the folder and return its file and itself."""
    path, checkpoint = folder / "small.safetensors", random_checkpoint(1, architecture=SMALL)
    checkpoint.save(path)
    return path, checkpoint
