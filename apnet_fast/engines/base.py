"""Define what every engine does: cleaned spectra and noise keys in, predictions out."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import Predictions, Recipe
from apnet_fast.recipes.photometry import as_photometry, normalised_photometry
from apnet_fast.support.errors import UsageError
from apnet_fast.support.forks import in_a_sound_thread

# With fewer pixels the pooled length would exceed the convs' output, and the network would see only repeated values.
_FEWEST_PIXELS = 64


class Engine(ABC):
    """Compute a recipe's predictions.

    Every engine keeps one promise: a spectrum's predictions depend on its flux, error and key, on the weights, recipe,
    draws and precision, and on nothing else; above all not on the other spectra of the batch.
    """

    name: ClassVar[str]
    networks: ClassVar[tuple[str, ...]] = ("v3",)
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    devices: ClassVar[tuple[str, ...]] = ("cpu",)

    def __init__(self, checkpoint: Checkpoint, recipe: Recipe, *, device: str, precision: str) -> None:
        self.check(precision, device)
        if checkpoint.network not in self.networks or recipe.network != checkpoint.network:
            raise UsageError(
                "engine, recipe and weights do not fit together",
                got=f"engine {self.name}, recipe {recipe.name} of {recipe.network}, weights of {checkpoint.network}",
                expected=f"a recipe and weights of the same network, one of {', '.join(self.networks)}",
                remedy="--engine auto, and the default --recipe",
            )
        self.checkpoint = checkpoint
        self.recipe = recipe
        self.device = device
        self.precision = precision
        self._process = os.getpid()

    @classmethod
    def check(cls, precision: str, device: str) -> None:
        """Raise UsageError for a precision that this engine lacks, or a device that it cannot use."""
        kind, _, number = device.partition(":")
        if kind not in cls.devices or (kind == "cpu" and number):
            raise UsageError(
                f"engine {cls.name} does not run on this device",
                got=device,
                expected=" | ".join(cls.devices),
                remedy=f"--device {cls.devices[0]}, or another --engine",
            )
        if precision not in cls.precisions:
            raise UsageError(
                f"engine {cls.name} cannot compute in this precision",
                got=precision,
                expected=" | ".join(cls.precisions),
                remedy=f"--precision {cls.precisions[0]}, or another --engine",
            )

    @classmethod
    def effective_precision(cls, checkpoint: Checkpoint, precision: str) -> str:
        """Return the precision in which these weights will be computed: the one asked for, unless it cannot be."""
        return precision

    @classmethod
    def tuning_sha256(cls, device: str) -> str:
        """Return the hash of the tuning table, which changes labels in their last digits; "" without a table."""
        return ""

    def preferred_batch(self, draws: int) -> int | None:
        """Return the number of spectra that the engine wants at once; None if any number will do."""
        return None

    def predict(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
        photometry: NDArray[np.float32] | None = None,
    ) -> Predictions:
        """Submit spectra and wait for their predictions; see `submit`."""
        return self.submit(flux, error, keys, draws, photometry)()

    def submit(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
        photometry: NDArray[np.float32] | None = None,
    ) -> Callable[[], Predictions]:
        """Start on n spectra and return a function that waits for the labels of them and of their noise realisations.

        An engine may put spectra of several calls together; leave the arrays alone until the labels are there.

        Parameters
        ----------
        flux, error: float32 (n, pixels), as read, in 1e-17 erg/s/cm^2/Angstrom, with any coding of missing pixels
            that `Recipe.clean_up` knows.
        keys: uint64 (n,) from `recipes.noise.noise_keys`.
        draws: noise realisations per spectrum; 0 only if the recipe allows it.
        photometry: float32 (n, 7): parallax [mas], G, BP, RP, J, H, K [mag], NaN if unknown, or
            `recipes.photometry.NO_SOURCE`; None means that nothing is known. Networks that do not use photometry
            check only its shape.

        Raises
        ------
        UsageError for shapes that do not fit together, or a number of draws the recipe cannot use.
        """
        self.recipe.check_draws(draws, np.shape(flux)[-1])
        flux = np.asarray(flux, dtype=np.float32)
        error = np.asarray(error, dtype=np.float32)
        if flux.ndim != 2 or flux.shape != error.shape or len(keys) != len(flux):
            raise UsageError(
                "flux, error and keys do not fit together",
                got=f"flux {flux.shape}, error {error.shape}, {len(keys)} keys",
                expected="flux and error (n, pixels) and n keys",
            )
        if flux.shape[1] < _FEWEST_PIXELS:
            raise UsageError("spectra are too short", got=f"{flux.shape[1]} pixels", expected="8575 for apStar")
        only = self.checkpoint.architecture.pixels
        if only not in (None, flux.shape[1]):
            raise UsageError(
                "spectra of this length do not fit the network",
                got=f"{flux.shape[1]} pixels",
                expected=f"{only} pixels",
            )
        if self._process != os.getpid():
            self._renew()
        metadata = self._metadata(as_photometry(photometry, len(flux)))
        flux, error = self._clean(flux, error)
        keys = np.asarray(keys, dtype=np.uint64)
        pending = in_a_sound_thread(lambda: self._submit(flux, error, keys, draws, metadata))
        return lambda: in_a_sound_thread(pending)

    def _renew(self) -> None:
        """Make the engine usable in a process that was forked from the one that made it, or raise UsageError.

        Threads do not survive a fork, so engines that have some override this and make new ones. GPUs do not either.
        """
        if "cuda" in self.device:
            raise UsageError(
                "this process was forked from one that uses a GPU, and cannot use it",
                got=self.device,
                expected="processes that are spawned",
                remedy='multiprocessing.get_context("spawn"), or multiprocessing_context="spawn" of a DataLoader',
            )
        self._process = os.getpid()

    def _predictions(self, labels: NDArray) -> Predictions:
        """Wrap labels (n, 1 + draws, 3) from the network's scaling, in which each spectrum comes before its draws."""
        return Predictions(clean=labels[:, 0], draws=labels[:, 1:], names=self.checkpoint.scaling.names)

    def _metadata(self, photometry: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return the network's second input, float32 (n, 7), or None for networks without one."""
        rule = self.recipe.photometry
        return None if rule is None else normalised_photometry(photometry, rule)

    def _clean(
        self, flux: NDArray[np.float32], error: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Apply the recipe's clean-up; engines that clean up on their device return their arguments."""
        return self.recipe.clean_up(flux, error)

    def _submit(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
        metadata: NDArray[np.float32] | None,
    ) -> Callable[[], Predictions]:
        """Do the work of `submit`, on the arguments of `_predict`; engines that work meanwhile override it."""
        done = self._predict(flux, error, keys, draws, metadata)
        return lambda: done

    @abstractmethod
    def _predict(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
        metadata: NDArray[np.float32] | None,
    ) -> Predictions:
        """Do the work of `predict`, on checked arguments, with the results of `_clean` and `_metadata`; n may be 0."""


def absent_gpus(devices: Sequence[str]) -> tuple[list[str], int]:
    """Return those of some devices that are GPUs which torch does not see, and the number of GPUs that it sees."""
    if not any(device.partition(":")[0] == "cuda" for device in devices):
        return [], 0
    import torch

    visible = torch.cuda.device_count()
    return [device for device in devices if not _is_there(device, visible)], visible


def _is_there(device: str, visible: int) -> bool:
    kind, _, number = device.partition(":")
    return kind != "cuda" or (visible > 0 and (not number or (number.isdigit() and int(number) < visible)))


def check_gpu(device: str, remedy: str = "--device cpu") -> None:
    """Raise UsageError if `device` names a GPU that torch does not see; "cpu" is always there."""
    absent, visible = absent_gpus([device])
    if absent:
        raise UsageError(
            "no such GPU is visible",
            got=device,
            expected=f"one of {visible}: cuda:0 .. cuda:{visible - 1}" if visible else "a machine with a GPU",
            remedy=remedy,
        )
