"""Make the batches of an epoch in their order, with threads that run ahead of the network."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from apnet_fast.recipes import Recipe
from apnet_fast.recipes.noise import noise_keys
from apnet_fast.recipes.photometry import normalised_photometry
from apnet_fast.train.augment import Augmentation, inference_input, training_input
from apnet_fast.train.cache import SpectrumCache

# The network's inputs, (B, 1, pixels) and for v2 also (B, 7), and its scaled targets (B, 3).
Batch = tuple[tuple[Tensor, ...], Tensor]


@dataclass(frozen=True)
class Split:
    """The cache's rows for training and for validation; no star is in both."""

    training: NDArray[np.int64]
    validation: NDArray[np.int64]


def split_by_star(stars: Sequence[str], validation: float, seed: int) -> Split:
    """Split rows so that about the share `validation` of stars is held back.

    Only a star's name and the seed decide whether it is held back; other stars do not matter.
    """
    held_back = np.array([_fraction(star, seed) < validation for star in stars], dtype=bool)
    return Split(np.flatnonzero(~held_back), np.flatnonzero(held_back))


def _fraction(star: str, seed: int) -> float:
    digest = hashlib.blake2b(f"split\x1f{seed}\x1f{star}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64


class Batches:
    """Network inputs and scaled labels of a training set, epoch by epoch.

    targets: float32 (n, 3), scaled labels of the whole cache in the network's order, NaN if unknown.
    Nothing depends on the number of workers: every random number is a function of the seed, the spectrum and the epoch.
    """

    def __init__(
        self,
        cache: SpectrumCache,
        split: Split,
        targets: Tensor,
        *,
        recipe: Recipe,
        augmentation: Augmentation,
        batch_size: int,
        seed: int,
        workers: int,
    ) -> None:
        self._cache, self._split, self._targets = cache, split, targets
        self._recipe, self._augmentation = recipe, augmentation
        self._batch_size = min(batch_size, len(split.training))
        self._seed, self._workers = seed, workers
        rule = recipe.photometry
        self._metadata = None if rule is None else torch.from_numpy(normalised_photometry(cache.photometry, rule))
        # These keys differ from inference's: a network must not have met the noise on which it is judged.
        self._keys = noise_keys(seed, (f"train\x1f{identity}" for identity in cache.ids)).tolist()

    @property
    def steps(self) -> int:
        """Return the number of batches per epoch; spectra that do not fill a last batch wait for another epoch."""
        return len(self._split.training) // self._batch_size

    def first(self) -> tuple[Tensor, Tensor]:
        """Return the inputs (B, 1, pixels) of the first batch, and which of its pixels hold data, bool (B, pixels)."""
        rows = self._order(0)[: self._batch_size]
        inputs = torch.stack([self._training_input(row, 0) for row in rows])[:, None, :]
        flux = self._cache.spectra[rows, 0]
        return inputs, torch.from_numpy(np.isfinite(flux) & (flux != 0))

    def training(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from number `first` on."""
        order, size = self._order(epoch), self._batch_size
        rows = [order[step * size : (step + 1) * size] for step in range(first, self.steps)]
        yield from self._ahead(rows, lambda row: self._training_input(row, epoch))

    def validation(self) -> Iterator[Batch]:
        """Yield batches of the held-back spectra: one noise draw of each, the same in every epoch."""
        rows = self._split.validation
        batches = [rows[start : start + self._batch_size] for start in range(0, len(rows), self._batch_size)]
        yield from self._ahead(
            batches, lambda row: inference_input(self._cache.spectra[row], self._keys[row], 0, self._recipe)
        )

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self._seed, epoch]).permutation(self._split.training)

    def _training_input(self, row: int, epoch: int) -> Tensor:
        return training_input(self._cache.spectra[row], self._keys[row], epoch, self._augmentation, self._recipe)

    def _ahead(self, batches: list[NDArray[np.int64]], make: Callable[[int], Tensor]) -> Iterator[Batch]:
        def collect(rows: NDArray[np.int64]) -> Batch:
            chosen = torch.from_numpy(rows)
            spectra = torch.stack([make(row) for row in rows])[:, None, :]
            others = () if self._metadata is None else (self._metadata[chosen],)
            return (spectra, *others), self._targets[chosen]

        pending: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(self._workers) as pool:
            try:
                for rows in batches:
                    pending.append(pool.submit(collect, rows))
                    if len(pending) > self._workers:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()
