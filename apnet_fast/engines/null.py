"""Give constant labels, to measure readers, driver and writers alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from apnet_fast.engines.base import Engine
from apnet_fast.recipes import Predictions


class NullEngine(Engine):
    """Give the scaling's mean as every label of every draw, without looking at any spectrum."""

    name: ClassVar[str] = "null"
    networks: ClassVar[tuple[str, ...]] = ("v3", "v2", "v1")

    def submit(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
        photometry: NDArray[np.float32] | None = None,
    ) -> Callable[[], Predictions]:
        """Return constant predictions, without the clean-up, which would take time."""
        self.recipe.check_draws(draws)
        return lambda: self._predict(flux, error, keys, draws, None)

    def _predict(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
        metadata: NDArray[np.float32] | None,
    ) -> Predictions:
        labels = np.asarray(self.checkpoint.scaling.mean, dtype=np.float32)
        return Predictions(
            clean=np.broadcast_to(labels, (len(flux), 3)),
            draws=np.broadcast_to(labels, (len(flux), draws, 3)),
            names=self.checkpoint.scaling.names,
        )
