"""ApogeeNet v2 and v1, fast: `cpu` with spectra in parallel, `torch` with tiles of spectra on a GPU; fp32.

Library kernels change their order of summation with the shape of their arguments and with the number of
threads. So every call into torch has a shape that the number of draws alone decides: on the CPU the rows of one
spectrum, a chunk at a time, on one thread; on a GPU a tile of a fixed number of spectra, filled up with zeros. That
keeps a result independent of the batch it came in.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from apnet_fast.engines.base import Engine, check_gpu
from apnet_fast.engines.reference import realisations
from apnet_fast.engines.threads import in_order, single_threaded_workers
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.philox import normals
from apnet_fast.recipes import Predictions, Recipe

# Rows of one call on the CPU: enough to amortise reading the 18 MB of the first linear layer's weights, few enough
# for the activations of the first convs (0.3 MB a row) to stay near the caches.
CHUNK_ROWS = 32
# Rows of one tile on a GPU: enough to fill it; 0.7 GB of activations.
TILE_ROWS = 1024


class VggCpuEngine(Engine):
    """One spectrum a thread; as many threads as torch is set to when it is made (OMP_NUM_THREADS)."""

    name: ClassVar[str] = "cpu"
    networks: ClassVar[tuple[str, ...]] = ("v2", "v1")

    def __init__(self, checkpoint: Checkpoint, recipe: Recipe, *, device: str = "cpu", precision: str = "fp32") -> None:
        super().__init__(checkpoint, recipe, device=device, precision=precision)
        self.network = checkpoint.module()
        self.threads = torch.get_num_threads()
        self._pool = single_threaded_workers(self.threads)

    def _predict(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
        metadata: NDArray[np.float32] | None,
    ) -> Predictions:
        @torch.inference_mode()
        def labels_of(i: int) -> Tensor:
            noise = torch.from_numpy(normals(keys[i : i + 1], draws, flux.shape[1])[0])
            rows = realisations(torch.from_numpy(flux[i]), torch.from_numpy(error[i]), noise)[:, None, :]
            known = None if metadata is None else torch.from_numpy(metadata[i])
            outputs = [self.network(chunk, *_second_input(known, len(chunk))) for chunk in rows.split(CHUNK_ROWS)]
            return self.checkpoint.scaling.unscale(torch.cat(outputs))

        labels = np.empty((len(flux), 1 + draws, len(self.checkpoint.scaling.names)), dtype=np.float32)
        for i, result in enumerate(in_order(self._pool, labels_of, range(len(flux)), 2 * self.threads)):
            labels[i] = result.numpy()
        return Predictions(clean=labels[:, 0], draws=labels[:, 1:])


class VggTorchEngine(Engine):
    """Tiles of spectra through torch on a GPU, while threads make the noise of the next ones on the CPU."""

    name: ClassVar[str] = "torch"
    networks: ClassVar[tuple[str, ...]] = ("v2", "v1")
    devices: ClassVar[tuple[str, ...]] = ("cuda",)

    def __init__(
        self, checkpoint: Checkpoint, recipe: Recipe, *, device: str = "cuda", precision: str = "fp32"
    ) -> None:
        super().__init__(checkpoint, recipe, device=device, precision=precision)
        self.network = checkpoint.module().to(device)
        self.threads = torch.get_num_threads()
        self._pool = single_threaded_workers(self.threads)

    @classmethod
    def check(cls, precision: str, device: str) -> None:
        """As `Engine.check`, and the GPU must be there."""
        super().check(precision, device)
        check_gpu(device)

    def _predict(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
        metadata: NDArray[np.float32] | None,
    ) -> Predictions:
        n, pixels = flux.shape
        tile = max(1, TILE_ROWS // (1 + draws))
        labels = np.empty((n, 1 + draws, len(self.checkpoint.scaling.names)), dtype=np.float32)

        def noise_of(i: int) -> NDArray[np.float32]:
            return normals(keys[i : i + 1], draws, pixels)[0]

        noise = in_order(self._pool, noise_of, range(n), 2 * max(tile, self.threads))
        for first in range(0, n, tile):
            part = slice(first, min(first + tile, n))
            filled = np.zeros((tile, draws, pixels), dtype=np.float32)
            for i in range(part.stop - part.start):
                filled[i] = next(noise)
            known = None if metadata is None else _filled_up(metadata[part], tile)
            results = self._tile(
                _filled_up(flux[part], tile), _filled_up(error[part], tile), torch.from_numpy(filled), known
            )
            labels[part] = results[: part.stop - first]
        return Predictions(clean=labels[:, 0], draws=labels[:, 1:])

    @torch.inference_mode()
    def _tile(self, flux: Tensor, error: Tensor, noise: Tensor, metadata: Tensor | None) -> NDArray[np.float32]:
        """Labels (tile, 1 + draws, 3) of the spectra of a tile."""
        tile, draws, pixels = noise.shape
        rows = torch.empty(tile, 1 + draws, pixels, device=self.device)
        clean = flux.to(self.device)[:, None]
        rows[:, :1] = clean
        # Two roundings, as everywhere else: no fused multiply-add.
        rows[:, 1:] = noise.to(self.device).mul_(error.to(self.device)[:, None]).add_(clean)
        known = None if metadata is None else metadata.to(self.device)
        second = () if known is None else (known.repeat_interleave(1 + draws, dim=0),)
        # TF32 would lose what the strict tier promises; benchmarking would choose kernels by the clock.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            outputs = self.network(rows.view(-1, 1, pixels), *second)
        return self.checkpoint.scaling.unscale(outputs).view(tile, 1 + draws, -1).cpu().numpy()


def _second_input(metadata: Tensor | None, rows: int) -> tuple[Tensor, ...]:
    """The photometry (7,) of a spectrum for so many rows, where the network takes it."""
    return () if metadata is None else (metadata.expand(rows, -1),)


def _filled_up(values: NDArray[np.float32], rows: int) -> Tensor:
    """The values and below them zeros, (rows, ...)."""
    filled = torch.zeros(rows, *values.shape[1:])
    filled[: len(values)] = torch.from_numpy(np.ascontiguousarray(values))
    return filled
