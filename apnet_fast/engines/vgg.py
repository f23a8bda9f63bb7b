"""Compute ApogeeNet v2 and v1 fast, in fp32: `cpu` runs spectra in parallel, `torch` one after another on a GPU.

Library kernels change their order of summation with the shape of their arguments, with a row's place among them and
with the number of threads. So every call into torch takes rows of one spectrum, in a shape that depends on the number
of draws alone, and runs on one thread on the CPU. That keeps a result independent of its batch.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from apnet_fast.engines.base import Engine, check_gpu
from apnet_fast.engines.full_fp32 import full_fp32
from apnet_fast.engines.reference import realisations
from apnet_fast.engines.threads import in_order, single_threaded_workers
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import Predictions, Recipe
from apnet_fast.recipes.noise import normals

# Rows per call on the CPU: enough to amortise reading the first linear layer's 18 MB of weights, few enough for the
# activations of the first convs (0.3 MB per row) to stay near the caches. A GPU takes all rows at once.
CHUNK_ROWS = 32


class _VggEngine(Engine):
    """Hold the network on its device, and as many threads as torch has when it is made (OMP_NUM_THREADS)."""

    networks: ClassVar[tuple[str, ...]] = ("v2", "v1")

    def __init__(
        self, checkpoint: Checkpoint, recipe: Recipe, *, device: str | None = None, precision: str = "fp32"
    ) -> None:
        super().__init__(checkpoint, recipe, device=device or self.devices[0], precision=precision)
        self.network = checkpoint.module().to(self.device)
        self.threads = torch.get_num_threads()
        self._pool = single_threaded_workers(self.threads)

    def _renew(self) -> None:
        super()._renew()
        self._pool = single_threaded_workers(self.threads)


class VggCpuEngine(_VggEngine):
    """Compute one spectrum per thread."""

    name: ClassVar[str] = "cpu"

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
        return self._predictions(labels)


class VggTorchEngine(_VggEngine):
    """Run a spectrum's rows through torch on a GPU, while CPU threads make the noise of the next spectra."""

    name: ClassVar[str] = "torch"
    devices: ClassVar[tuple[str, ...]] = ("cuda",)

    @classmethod
    def check(cls, precision: str, device: str) -> None:
        """Check as `Engine.check` does, and that the GPU is there."""
        super().check(precision, device)
        check_gpu(device)

    @torch.inference_mode()
    def _predict(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
        metadata: NDArray[np.float32] | None,
    ) -> Predictions:
        def noise_of(i: int) -> Tensor:
            return torch.from_numpy(normals(keys[i : i + 1], draws, flux.shape[1])[0])

        fluxes, errors = (torch.from_numpy(np.ascontiguousarray(values)).to(self.device) for values in (flux, error))
        known = None if metadata is None else torch.from_numpy(metadata).to(self.device)
        # Results stay on the device until the end, so that no launch waits for the spectrum before it.
        outputs = torch.empty(len(flux), 1 + draws, len(self.checkpoint.scaling.names), device=self.device)
        with full_fp32():
            for i, noise in enumerate(in_order(self._pool, noise_of, range(len(flux)), 2 * self.threads)):
                rows = realisations(fluxes[i], errors[i], noise.to(self.device))[:, None, :]
                second = _second_input(None if known is None else known[i], len(rows))
                outputs[i] = self.network(rows, *second)
        labels = self.checkpoint.scaling.unscale(outputs).cpu().numpy()
        return self._predictions(labels)


def _second_input(metadata: Tensor | None, rows: int) -> tuple[Tensor, ...]:
    """Repeat a spectrum's photometry (7,) for `rows` rows, if the network takes it."""
    return () if metadata is None else (metadata.expand(rows, -1),)
