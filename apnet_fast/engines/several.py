"""Use several devices as one engine: each takes its part of a batch, in its own thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from apnet_fast.engines.base import Engine
from apnet_fast.recipes import Predictions


class SeveralDevices(Engine):
    """Run engines of one kind, one per device. Their results do not depend on the batch, so neither do these."""

    name: ClassVar[str] = "several devices"

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = list(engines)
        first = self.engines[0]
        self.checkpoint, self.recipe, self.precision = first.checkpoint, first.recipe, first.precision
        self.device = ",".join(engine.device for engine in self.engines)
        self._process = os.getpid()
        self._pool = ThreadPoolExecutor(len(self.engines))

    def _renew(self) -> None:
        super()._renew()  # and each engine renews itself
        self._pool = ThreadPoolExecutor(len(self.engines))

    def _clean(
        self, flux: NDArray[np.float32], error: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return flux, error  # each engine cleans its part

    def _metadata(self, photometry: NDArray[np.float32]) -> NDArray[np.float32] | None:
        return photometry  # and normalises its photometry

    def preferred_batch(self, draws: int) -> int | None:
        """Return what all devices together want."""
        wanted = [engine.preferred_batch(draws) for engine in self.engines]
        return None if None in wanted else sum(number or 0 for number in wanted)

    def _predict(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
        metadata: NDArray[np.float32] | None,
    ) -> Predictions:
        return self._submit(flux, error, keys, draws, metadata)()

    def _submit(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
        metadata: NDArray[np.float32] | None,
    ) -> Callable[[], Predictions]:
        bounds = np.linspace(0, len(flux), len(self.engines) + 1).astype(int)
        parts = [slice(start, stop) for start, stop in pairwise(bounds)]

        def work(engine: Engine, part: slice) -> Callable[[], Predictions]:
            known = None if metadata is None else metadata[part]
            return engine.submit(flux[part], error[part], keys[part], draws, known)

        pending = list(self._pool.map(work, self.engines, parts))
        return lambda: self._joined(pending)

    def _joined(self, pending: Sequence[Callable[[], Predictions]]) -> Predictions:
        done = list(self._pool.map(lambda part: part(), pending))
        return Predictions(
            clean=np.concatenate([part.clean for part in done]),
            draws=np.concatenate([part.draws for part in done]),
            names=self.checkpoint.scaling.names,
        )
