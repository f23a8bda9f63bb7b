"""The CPU engine: fp32, BatchNorm folded, spectra in parallel, linear layers over many draws at once.

Library kernels change their order of summation with the shape of their arguments and with the number of
threads. So every call into torch here has a shape that is always the same and runs on one thread: the convs take
the rows of one spectrum, the linear layers a fixed number of rows and of columns. Threads share the spectra, and
the columns, among them. That keeps a result independent of the batch it came in and of the number of threads.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from apnet_fast.engines.base import Engine
from apnet_fast.engines.reference import process, realisations
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.folding import FoldedConv, FoldedV3, fold_v3
from apnet_fast.philox import normals
from apnet_fast.recipes import Predictions, Recipe

# Rows of one call of the linear layers: enough to amortise reading the 268 MB of the first one's weights. Columns of
# one call: few enough to give work to several threads.
LINEAR_ROWS = 128
LINEAR_COLUMNS = 128


class CpuEngine(Engine):
    """Folded convs a spectrum at a time, linear layers on fixed tiles of `LINEAR_ROWS` x `LINEAR_COLUMNS`.

    Uses as many threads as torch is set to when it is made (OMP_NUM_THREADS, torch.set_num_threads).
    """

    name: ClassVar[str] = "cpu"

    def __init__(self, checkpoint: Checkpoint, recipe: Recipe, *, device: str = "cpu", precision: str = "fp32") -> None:
        super().__init__(checkpoint, recipe, device=device, precision=precision)
        self.threads = torch.get_num_threads()
        self._pool = _single_threaded_workers(self.threads)
        self._folded: dict[int, FoldedV3] = {}

    def _predict(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
        metadata: NDArray[np.float32] | None,
    ) -> Predictions:
        n, pixels = flux.shape
        rows = 1 + draws
        network = self._network(pixels)

        @torch.inference_mode()
        def features(i: int) -> Tensor:
            noise = torch.from_numpy(normals(keys[i : i + 1], draws, pixels)[0])
            spectrum = realisations(torch.from_numpy(flux[i]), torch.from_numpy(error[i]), noise)
            return convolve(process(spectrum, self.recipe), network)

        targets = len(self.checkpoint.scaling.names)
        with torch.inference_mode():
            outputs = torch.empty(n * rows, targets)
            tile = _LinearTile(network, outputs, self._pool)
            # Two spectra a thread under way: none waits, and memory does not grow with the batch.
            pending: deque[Future[Tensor]] = deque()
            for i in range(n):
                pending.append(self._pool.submit(features, i))
                if len(pending) > 2 * self.threads:
                    tile.add(pending.popleft().result())
            while pending:
                tile.add(pending.popleft().result())
            tile.flush()
            labels = self.checkpoint.scaling.unscale(outputs).numpy().reshape(n, rows, targets)
        return Predictions(clean=labels[:, 0], draws=labels[:, 1:])

    def _network(self, pixels: int) -> FoldedV3:
        if pixels not in self._folded:
            self._folded[pixels] = _as_float32(fold_v3(self.checkpoint, pixels))
        return self._folded[pixels]


def _single_threaded_workers(number: int) -> ThreadPoolExecutor:
    """Threads in each of which torch computes on one thread."""
    pool = ThreadPoolExecutor(number, thread_name_prefix="apnet_fast")
    everyone = Barrier(number + 1)

    def begin() -> None:
        torch.get_num_threads()  # a thread's first look at the number takes over that of the process
        torch.set_num_threads(1)
        everyone.wait()

    for _ in range(number):
        pool.submit(begin)
    everyone.wait()
    # Setting it for a thread also sets it for threads yet to come: give the caller's program its own back.
    torch.set_num_threads(number)
    return pool


def convolve(log_flux: Tensor, network: FoldedV3) -> Tensor:
    """Stem, residual blocks and pooling: (rows, pixels) to (rows, channels * pooled length), channel-major."""
    first = network.first
    x = functional.conv1d(log_flux[:, None, :], first.weight, padding=first.weight.shape[-1] // 2)
    x = functional.max_pool1d(functional.elu_(x.add_(first.bias)), 2)
    for conv1, conv2 in network.blocks:
        kernel = conv1.weight.shape[-1]
        y = functional.elu_(functional.conv1d(x, conv1.weight, conv1.bias, padding=kernel // 2))
        y = functional.conv1d(y, conv2.weight, conv2.bias, padding=(kernel - 1) // 2)
        before = (y.shape[1] - x.shape[1]) // 2
        y[:, before : before + x.shape[1]].add_(x)
        x = functional.elu_(y)
    return functional.adaptive_avg_pool1d(x, network.pool).flatten(1)


class _LinearTile:
    """Collects feature rows and runs the linear layers whenever `LINEAR_ROWS` of them are there."""

    def __init__(self, network: FoldedV3, outputs: Tensor, pool: ThreadPoolExecutor) -> None:
        self._linear = network.linear
        self._outputs = outputs
        self._pool = pool
        self._features = torch.zeros(LINEAR_ROWS, network.linear[0][0].shape[1])
        self._filled = 0
        self._done = 0

    def add(self, features: Tensor) -> None:
        while len(features):
            taken = features[: LINEAR_ROWS - self._filled]
            self._features[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            features = features[len(taken) :]
            if self._filled == LINEAR_ROWS:
                self.flush()

    def flush(self) -> None:
        if not self._filled:
            return
        x = self._features
        for weight, bias in self._linear[:-1]:
            x = functional.relu_(self._layer(x, weight, bias))
        x = self._layer(x, *self._linear[-1])
        self._outputs[self._done : self._done + self._filled] = x[: self._filled]
        self._done += self._filled
        self._filled = 0

    def _layer(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        @torch.inference_mode()
        def columns(first: int) -> Tensor:
            part = slice(first, first + LINEAR_COLUMNS)
            return functional.linear(x, weight[part], bias[part])

        return torch.cat(list(self._pool.map(columns, range(0, len(weight), LINEAR_COLUMNS))), dim=1)


def _as_float32(network: FoldedV3) -> FoldedV3:
    def convert(conv: FoldedConv) -> FoldedConv:
        return FoldedConv(conv.weight.float(), conv.bias.float())

    return FoldedV3(
        first=convert(network.first),
        blocks=tuple((convert(a), convert(b)) for a, b in network.blocks),
        linear=tuple((weight.float(), bias.float()) for weight, bias in network.linear),
        pool=network.pool,
    )
