"""Spectra as other builders hold them, and a network that knows which batches it was given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apnet_fast.api import ApogeeNet
from apnet_fast.engines import create_engine
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.v2 import ArchitectureV2
from apnet_fast.recipes import get_recipe


def network(checkpoint: Checkpoint, engine: str = "cpu", recipe: str | None = "astra-0.6") -> ApogeeNet:
    """A network of that engine and recipe."""
    return ApogeeNet(create_engine(engine, checkpoint, get_recipe(recipe, checkpoint.network)))


def small_v2() -> Checkpoint:
    """A v2 network of small size."""
    return random_checkpoint(1, architecture=ArchitectureV2(channels=(4, 4, 8), linear_dim=16, metadata_dims=(8, 16)))


class AstraLike:
    """A spectrum whose arrays are read when they are asked for, as Astra's are."""

    def __init__(self, pk: int, flux: NDArray | None = None, error: NDArray | None = None) -> None:
        self.spectrum_pk, self.source_pk = pk, 1000 + pk
        self._flux = np.ones(8575) if flux is None else flux
        self._error = np.full(8575, 0.01) if error is None else error
        self.reads = 0

    @property
    def flux(self) -> NDArray[Any]:
        self.reads += 1
        return self._flux

    @property
    def ivar(self) -> NDArray[Any]:
        with np.errstate(divide="ignore"):
            return self._error.astype(np.float64) ** -2


class Poisoned(AstraLike):
    """A spectrum whose file is broken."""

    @property
    def flux(self) -> NDArray[Any]:
        raise OSError("Header missing END card.")


class Counted:
    """An iterable that knows how many of its items were taken."""

    def __init__(self, items: list[Any]) -> None:
        self.items, self.taken = items, 0

    def __iter__(self) -> Iterator[Any]:
        for item in self.items:
            self.taken += 1
            yield item
