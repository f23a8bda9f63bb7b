"""The Triton engine: the whole recipe on a GPU, in fp16 on tensor cores, one CUDA graph per tile of spectra.

`tile_network` says what is computed, `tile_queue` how spectra get there and back.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from apnet_fast.engines.base import Engine, check_gpu
from apnet_fast.engines.ranges import LEAST_HEADROOM, fp16_headroom
from apnet_fast.engines.reference import ReferenceEngine
from apnet_fast.engines.tile_network import TileNetwork, clean_up_of
from apnet_fast.engines.tile_queue import TileQueue, empty_caches
from apnet_fast.kernels.stem import CHANNELS, TAPS
from apnet_fast.kernels.tuning import Tuning, table_for
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.kinds import Architecture
from apnet_fast.networks.v3 import ArchitectureV3
from apnet_fast.recipes import Predictions, Recipe
from apnet_fast.support.errors import UsageError

# Compute capability 8.0: the first with the copies and matrix products that the kernels are made of.
_LEAST_CAPABILITY = 80
# Tiles of a batch that keeps the device busy.
_TILES_PER_BATCH = 4


def interpreted() -> bool:
    """Return whether kernels run in Triton's interpreter, on CPU tensors, as in the tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _misfit(sizes: Architecture) -> str:
    """Say why the kernels cannot compute a network; empty for the survey's and its like."""
    if isinstance(sizes, ArchitectureV3):
        powers_of_2 = all(channels & (channels - 1) == 0 for channels in sizes.channels)
        if powers_of_2 and (sizes.model_dim, sizes.kernel_size) == (CHANNELS, TAPS):
            return ""
    return (
        f"the kernels take v3 networks of {TAPS} taps whose channels are powers of 2, {CHANNELS} at first,"
        f" and these weights are {sizes}"
    )


def architecture_of(device: str) -> str:
    """Return the name of a device's architecture in the tuning tables: "sm90", "gfx942"."""
    properties = torch.cuda.get_device_properties(device)
    if torch.version.hip:
        return str(properties.gcnArchName).split(":")[0]
    return f"sm{properties.major}{properties.minor}"


def _check_capability(device: str) -> None:
    """Raise UsageError for a GPU whose tensor cores are too old: Triton would compile slow code that spills."""
    if torch.version.hip:
        return
    name = architecture_of(device)
    if int(name.removeprefix("sm")) < _LEAST_CAPABILITY:
        raise UsageError(
            "this GPU is too old for engine triton",
            got=f"{device}: {torch.cuda.get_device_name(device)}, {name}",
            expected=f"sm{_LEAST_CAPABILITY} or newer (A100, RTX 30)",
            remedy="--engine reference --precision fp32, or --device cpu",
        )


class TritonEngine(Engine):
    """fp16 in our kernels. fp32, and weights that fp16 cannot hold, are computed in plain torch on the same device."""

    name: ClassVar[str] = "triton"
    precisions: ClassVar[tuple[str, ...]] = ("fp16", "fp32")
    devices: ClassVar[tuple[str, ...]] = ("cuda",)

    def __init__(
        self,
        checkpoint: Checkpoint,
        recipe: Recipe,
        *,
        device: str = "cuda",
        precision: str = "fp16",
        tuning: Tuning | None = None,
    ) -> None:
        super().__init__(checkpoint, recipe, device=device, precision=precision)
        clean_up_of(recipe)
        self.precision = self.effective_precision(checkpoint, precision)
        self.strict = ReferenceEngine(checkpoint, recipe, device=device)
        self.tuning = tuning or self.tuning_for(device)
        self._queues: dict[tuple[int, int], TileQueue] = {}

    @classmethod
    def check(cls, precision: str, device: str) -> None:
        """Check as `Engine.check` does; in Triton's interpreter the device is the CPU."""
        if interpreted() and device == "cpu":
            super().check(precision, "cuda")
            return
        super().check(precision, device)
        check_gpu(device)
        _check_capability(device)

    @classmethod
    def effective_precision(cls, checkpoint: Checkpoint, precision: str) -> str:
        """Return fp32 in place of fp16, with a loud warning, if the kernels cannot compute these weights.

        That is so if the network has other sizes than the kernels, or if activations come too near to fp16's limit.
        """
        if precision != "fp16":
            return precision
        why = _misfit(checkpoint.architecture)
        if not why and (headroom := fp16_headroom(checkpoint)) < LEAST_HEADROOM:
            why = (
                f"activations of these weights come within a factor {headroom:.1f} of what fp16 holds"
                f" (at least {LEAST_HEADROOM:.0f} wanted)"
            )
        if not why:
            return precision
        sys.stderr.write(f"WARNING: {why}; computing in fp32 instead, which is many times slower\n")
        return "fp32"

    @classmethod
    def tuning_for(cls, device: str) -> Tuning:
        """Return the tuning table that a device will use."""
        return table_for("generic" if interpreted() else architecture_of(device))

    @classmethod
    def tuning_sha256(cls, device: str) -> str:
        """Return the hash of the tuning table that a device will use."""
        return cls.tuning_for(device).sha256

    def seconds_per_spectrum(
        self, pixels: int, draws: int, measure: Callable[[Callable[[int], object]], float]
    ) -> float:
        """Return seconds per spectrum with everything on the device, for tuning and benchmarks.

        measure(work) gives the seconds of work(i).
        """
        return self.queue(pixels, draws).seconds_per_spectrum(measure)

    def queue(self, pixels: int, draws: int) -> TileQueue:
        """Return the tiles for spectra of this length and number of draws; made at the first call."""
        if (pixels, draws) not in self._queues:
            self._queues[pixels, draws] = self._fitting_queue(pixels, draws)
        return self._queues[pixels, draws]

    def _fitting_queue(self, pixels: int, draws: int) -> TileQueue:
        """Make a queue; if the device's memory does not hold its tiles, one of smaller tiles, with a warning."""
        rows, device = 1 + draws, torch.device(self.device)
        spectra = max(1, self.tuning.tile_rows // rows)
        while True:
            tuning = replace(self.tuning, tile_rows=spectra * rows)
            try:
                return TileQueue(TileNetwork(self.checkpoint, self.recipe, tuning, device, pixels, draws))
            except torch.cuda.OutOfMemoryError as error:
                why = str(error).splitlines()[0]
            # Outside the handler, which keeps what was allocated alive.
            empty_caches()
            if spectra == 1:
                raise UsageError(
                    "the memory of the GPU does not hold a single spectrum",
                    got=why,
                    expected="about 2 GB that no other process takes",
                    remedy="free the GPU, or fewer --draws, or --device cpu",
                )
            spectra //= 2
            sys.stderr.write(
                f"WARNING: {why}; computing tiles of {spectra} spectra instead, which is slower and may change"
                " the last digits of labels\n"
            )

    def preferred_batch(self, draws: int) -> int | None:
        """Return a batch that keeps the device busy: several whole tiles; None in fp32, which has no tiles."""
        if self.precision == "fp32":
            return None
        return _TILES_PER_BATCH * max(1, self.tuning.tile_rows // (1 + draws))

    def _clean(
        self, flux: NDArray[np.float32], error: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return flux, error  # on the device, or by the strict engine

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
        if self.precision == "fp32":
            done = self.strict.predict(flux, error, keys, draws)
            return lambda: done
        queue = self.queue(flux.shape[1], draws)
        ticket = queue.submit(flux, error, keys)
        return lambda: self._finish(queue.collect(ticket), flux, error, keys, draws)

    def _finish(
        self,
        outputs: NDArray[np.float32],
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
    ) -> Predictions:
        """Turn outputs into labels; a spectrum beyond fp16 is computed again, in fp32."""
        labels = self.checkpoint.scaling.unscale(torch.from_numpy(outputs)).numpy()
        broken = np.flatnonzero(~np.isfinite(labels).all(axis=(1, 2)))
        if len(broken):
            again = self.strict.predict(flux[broken], error[broken], keys[broken], draws)
            labels[broken, 0], labels[broken, 1:] = again.clean, again.draws
        return self._predictions(labels)
