"""ApogeeNet v2 and v1, fast, in fp32: `cpu` with spectra in parallel, `torch` on a GPU, one spectrum after another.

Library kernels change their order of summation with the shape of their arguments, with a row's place among them and
with the number of threads. So every call into torch takes rows of one spectrum, in a shape that the number of draws
alone decides, and on the CPU runs on one thread. That keeps a result independent of the batch it came in.
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
from apnet_fast.recipes import Predictions, Recipe
from apnet_fast.recipes.noise import normals

# Rows of one call on the CPU: enough to amortise reading the 18 MB of the first linear layer's weights, few enough
# for the activations of the first convs (0.3 MB a row) to stay near the caches. A GPU takes all rows at once.
CHUNK_ROWS = 32


class _VggEngine(Engine):
    """The network on its device, and as many threads as torch is set to when it is made (OMP_NUM_THREADS)."""

    networks: ClassVar[tuple[str, ...]] = ("v2", "v1")

    def __init__(
        self, checkpoint: Checkpoint, recipe: Recipe, *, device: str | None = None, precision: str = "fp32"
    ) -> None:
        super().__init__(checkpoint, recipe, device=device or self.devices[0], precision=precision)
        self.network = checkpoint.module().to(self.device)
        self.threads = torch.get_num_threads()
        self._pool = single_threaded_workers(self.threads)


class VggCpuEngine(_VggEngine):
    """One spectrum a thread."""

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
    """The rows of a spectrum through torch on a GPU, while threads make the noise of the next ones on the CPU."""

    name: ClassVar[str] = "torch"
    devices: ClassVar[tuple[str, ...]] = ("cuda",)

    @classmethod
    def check(cls, precision: str, device: str) -> None:
        """As `Engine.check`, and the GPU must be there."""
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
        # Results stay on the device until the end: nothing waits for a spectrum before the next one is launched.
        outputs = torch.empty(len(flux), 1 + draws, len(self.checkpoint.scaling.names), device=self.device)
        # TF32 would lose what the strict tier promises; benchmarking would choose kernels by the clock.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            for i, noise in enumerate(in_order(self._pool, noise_of, range(len(flux)), 2 * self.threads)):
                rows = realisations(fluxes[i], errors[i], noise.to(self.device))[:, None, :]
                second = _second_input(None if known is None else known[i], len(rows))
                outputs[i] = self.network(rows, *second)
        labels = self.checkpoint.scaling.unscale(outputs).cpu().numpy()
        return self._predictions(labels)


def _second_input(metadata: Tensor | None, rows: int) -> tuple[Tensor, ...]:
    """The photometry (7,) of a spectrum for so many rows, where the network takes it."""
    return () if metadata is None else (metadata.expand(rows, -1),)
