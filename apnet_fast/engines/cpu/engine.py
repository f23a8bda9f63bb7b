"""Drive the CPU engine: spectra over threads, then linear layers over many rows, tile by tile.

Every library call always has the same shape and runs on one thread, and every row of the network is computed for
itself. So a result depends neither on its batch nor on the number of threads.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise, product
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from apnet_fast.engines.base import Engine
from apnet_fast.engines.cpu import stem
from apnet_fast.engines.cpu.linear import ROWS, LinearLayers
from apnet_fast.engines.cpu.network import CpuNetwork, prepare
from apnet_fast.engines.cpu.trunk import Trunk
from apnet_fast.engines.threads import single_threaded_workers
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.folding import fold_v3
from apnet_fast.recipes import Predictions, Recipe, percentile_rank

# The least number of spectra per thread in a tile, so that threads finish at about the same time.
_SPECTRA_PER_THREAD = 2


class CpuEngine(Engine):
    """Compute ApogeeNet v3 in fp32 on as many threads as torch has when the engine is made.

    (OMP_NUM_THREADS, torch.set_num_threads, or --threads.) Memory: the weights; two tiles of features, 0.26 MB per row
    (at 20 draws 67 MB for every 3 threads); 9 MB per thread. One call of `predict` computes at a time.
    """

    name: ClassVar[str] = "cpu"

    def __init__(self, checkpoint: Checkpoint, recipe: Recipe, *, device: str = "cpu", precision: str = "fp32") -> None:
        super().__init__(checkpoint, recipe, device=device, precision=precision)
        self.threads = torch.get_num_threads()
        self._network: CpuNetwork | None = None
        self._start_threads()

    def _start_threads(self) -> None:
        self._pool = single_threaded_workers(self.threads)
        self._tiles: list[_Tile] = []
        self._busy = threading.Lock()
        self._mine = threading.local()

    def _renew(self) -> None:
        super()._renew()
        self._start_threads()

    def _clean(
        self, flux: NDArray[np.float32], error: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return flux, error  # each spectrum is cleaned in the thread that computes it

    def _predict(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        keys: NDArray[np.uint64],
        draws: int,
        metadata: NDArray[np.float32] | None,
    ) -> Predictions:
        n, pixels = flux.shape
        rows, targets = 1 + draws, len(self.checkpoint.scaling.names)
        outputs = torch.empty(n * rows, targets)
        with self._busy, torch.inference_mode():
            network = self._prepared(pixels)
            spectra = min(self._spectra_of_a_tile(rows), max(n, 1))
            tiles = self._two_tiles(network, spectra * rows)
            # With few spectra, split the rows across threads.
            parts = np.linspace(0, rows, 1 + min(max(self.threads // max(n, 1), 1), rows)).astype(int)

            def features(i: int, tile: _Tile, first: int, part: slice) -> None:
                mine = slice(first + part.start, first + part.stop)
                computer = self._computer(network, draws)
                computer.spectrum(flux[i], error[i], keys[i], part, tile.features[mine], tile.finite[mine])

            try:
                for number, start in enumerate(range(0, n, spectra)):
                    tile, other = tiles[number % 2], tiles[1 - number % 2]
                    tile.collect()
                    tile.begin(outputs[start * rows : (start + spectra) * rows])
                    for i, part in product(range(start, min(start + spectra, n)), pairwise(parts)):
                        tile.submit(features, i, tile, (i - start) * rows, slice(*part))
                    # Run the other tile's linear layers while this tile's spectra are being computed.
                    other.multiply()
                for tile in tiles:
                    tile.multiply()
                    tile.collect()
            finally:
                for tile in tiles:
                    tile.abandon()
        labels = self.checkpoint.scaling.unscale(outputs).numpy().reshape(n, rows, targets)
        return self._predictions(labels)

    def _spectra_of_a_tile(self, rows: int) -> int:
        pieces = -(-_SPECTRA_PER_THREAD * self.threads * rows // ROWS)
        return max(1, pieces * ROWS // rows)

    def _prepared(self, pixels: int) -> CpuNetwork:
        if self._network is None or self._network.pixels != pixels:
            self._network = prepare(fold_v3(self.checkpoint, pixels), pixels)
            self._tiles = []
        return self._network

    def _two_tiles(self, network: CpuNetwork, rows: int) -> list[_Tile]:
        if not self._tiles or self._tiles[0].size != rows:
            layers = LinearLayers(network.linear)
            self._tiles = [_Tile(self._pool, layers, network.features, rows) for _ in range(2)]
        return self._tiles

    def _computer(self, network: CpuNetwork, draws: int) -> _RowComputer:
        computer = getattr(self._mine, "computer", None)
        if computer is None or computer.network is not network or computer.draws != draws:
            computer = self._mine.computer = _RowComputer(network, self.recipe, draws)
        return computer


class _RowComputer:
    """Hold what one thread needs to turn a spectrum into its rows' features."""

    def __init__(self, network: CpuNetwork, recipe: Recipe, draws: int) -> None:
        self.network, self.draws = network, draws
        self._recipe = recipe
        self._trunk = Trunk(network)
        pixels = network.pixels
        self._values = np.empty((1 + draws, pixels), dtype=np.float32)
        self._limits = np.empty(1 + draws, dtype=np.float32)
        self._counts = np.empty(stem.DIGITS, dtype=np.int64)
        self._flux = np.zeros(pixels + 3 * stem.FLUX_MARGIN, dtype=np.float32)
        joint = recipe.percentile_over == "spectrum"
        ranks = [
            percentile_rank(size, recipe.quantile) for size in (pixels, pixels * max(draws, 1) if joint else pixels)
        ]
        self._joint = joint
        self._own_rank, self._joint_rank = ((rank.lower, rank.upper, rank.fraction) for rank in ranks)

    @torch.inference_mode()
    def spectrum(
        self,
        flux: NDArray[np.float32],
        error: NDArray[np.float32],
        key: np.uint64,
        part: slice,
        features: NDArray[np.float32],
        finite: NDArray[np.bool_],
    ) -> None:
        """Compute the features of some rows of a spectrum, whose row 0 is clean; finite gets which rows are usable."""
        recipe, values = self._recipe, self._values
        clean_flux, clean_error = recipe.clean_up(flux[None], error[None])
        stem.realise(clean_flux[0], clean_error[0], key, np.float32(recipe.floor), values)
        stem.log_limits(
            values, self._joint, self._own_rank, self._joint_rank, np.float32(recipe.clip), self._limits, self._counts
        )
        for i, row in enumerate(range(part.start, part.stop)):
            finite[i] = stem.clipped_log(values[row], self._limits[row], self._flux)
            if finite[i]:
                self._trunk.features(self._flux, features[i])
            else:
                features[i] = 0


class _Tile:
    """Hold rows that are being computed: spectra fill in features, then the linear layers run over all of them.

    features: float32 (rows, width), of which `size` rows are wanted. finite: rows that the network can use.
    """

    def __init__(self, pool: ThreadPoolExecutor, layers: LinearLayers, width: int, rows: int) -> None:
        pieces = -(-rows // ROWS)
        self._pool, self._layers = pool, layers
        self._features = torch.zeros(pieces, ROWS, width)
        self._products = torch.zeros(pieces, ROWS, layers.width)
        self.size = rows
        self.features = self._features.view(pieces * ROWS, width).numpy()
        self.finite = np.zeros(pieces * ROWS, dtype=np.bool_)
        self._outputs: Tensor | None = None
        self._spectra: list[Future[None]] = []
        self._last: list[Future[Tensor]] = []

    def begin(self, outputs: Tensor) -> None:
        """Set where the outputs of the next spectra's rows belong."""
        self._outputs = outputs

    def submit(self, work, *arguments) -> None:  # type: ignore[no-untyped-def]
        """Give a spectrum's work to a thread."""
        self._spectra.append(self._pool.submit(work, *arguments))

    def multiply(self) -> None:
        """Wait for the spectra, run the first linear layer, and start the others."""
        if not self._spectra or self._outputs is None:
            return
        for future in self._spectra:
            future.result()
        self._spectra.clear()
        pieces = range(-(-len(self._outputs) // ROWS))
        first = [
            self._pool.submit(self._layers.first, self._features[piece], column, self._products[piece])
            for piece, column in product(pieces, self._layers.columns)
        ]
        for done in first:
            done.result()
        self._last = [self._pool.submit(self._layers.rest, self._products[piece]) for piece in pieces]

    def collect(self) -> None:
        """Store the outputs, with NaN for rows that could not be used."""
        if self._outputs is None:
            return
        n = len(self._outputs)
        self._outputs.copy_(torch.cat([future.result() for future in self._last])[:n])
        self._outputs[torch.from_numpy(~self.finite[:n])] = torch.nan
        self._outputs, self._last = None, []

    def abandon(self) -> None:
        """Cancel or finish everything that is still running, whatever happened."""
        for future in self._spectra:
            future.cancel()
        wait(self._spectra)
        self._spectra.clear()
        self._outputs, self._last = None, []
