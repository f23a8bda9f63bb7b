"""A run keeps the tiles of a GPU full and in flight: launches and empty places are counted with a fake engine."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.engines.tile_queue import TileQueue
from apnet_fast.pipeline.compute import Computer, _Batch
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.pipeline.work import Done
from apnet_fast.recipes.flux import FluxCounts

TILE, BATCH, FILES_OF_A_SHARD = 62, 64, 500


class FakeNetwork:
    """Computes nothing, for spectra of four pixels without draws."""

    device, pixels, draws, spectra = torch.device("cpu"), 4, 0, TILE

    def compute(self, flux: torch.Tensor, error: object, keys: object, outputs: torch.Tensor, spectra: int) -> None:
        outputs.copy_(flux[:, :1, None].expand(-1, -1, 3))


class FakeNet:
    """A net whose engine is a queue of tiles; its labels are the first pixels."""

    def __init__(self, most_under_way: list[int]) -> None:
        self.queue = TileQueue(FakeNetwork())
        self.engine = SimpleNamespace(
            preferred_batch=lambda draws: 4 * TILE, checkpoint=SimpleNamespace(for_simulated_only=False)
        )
        self.recipe = SimpleNamespace(incomplete_photometry=lambda photometry, n: np.zeros(n, bool))
        self._under_way, self._most = 0, most_under_way

    def submit_labels(self, flux: np.ndarray, error: np.ndarray, ids: object, **how: Any) -> Callable[[], np.ndarray]:
        ticket = self.queue.submit(flux, error, np.zeros(len(flux), np.uint64))
        self._under_way += 1
        self._most.append(self._under_way)

        def labels() -> np.ndarray:
            self._under_way -= 1
            return self.queue.collect(ticket)[:, 0, 0]

        return labels

    def count(self, *given: object) -> FluxCounts:
        return FluxCounts()


class Spectra:
    """As much of a `SpectrumBatch` as the engine's stage looks at."""

    def __init__(self, first: int, n: int) -> None:
        self.flux = self.error = np.repeat(np.arange(first, first + n, dtype=np.float32)[:, None], 4, axis=1)
        self.usable = np.ones(n, bool)
        self.records = [SimpleNamespace(identity=str(i)) for i in range(n)]

    def __len__(self) -> int:
        return len(self.flux)


def batches(total: int) -> list[_Batch]:
    """Files of one to eight spectra, gathered and cut into shards as the reading stage does it."""
    rng = np.random.default_rng(0)
    found, first, held, files, shard = [], 0, 0, 0, 0
    while first + held < total:
        held += min(int(rng.integers(1, 9)), total - first - held)
        files += 1
        ends = files == FILES_OF_A_SHARD or first + held == total
        if ends or held >= BATCH:
            found.append(_Batch(shard, Spectra(first, held), None, 1, ends))  # type: ignore[arg-type]
            first, held = first + held, 0
        if ends:
            shard, files = shard + 1, 0
    return found


def run(total: int) -> tuple[FakeNet, list[Any], list[int]]:
    most: list[int] = []
    net, counted = FakeNet(most), list[Done]()
    computer = Computer(
        SimpleNamespace(draws=0, seed=0),  # type: ignore[arg-type]
        net,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        StageTimes(),
        work=None,  # type: ignore[arg-type]
        on_batch=counted.append,
        on_shard=lambda shard, marker: None,
        stop=lambda: False,
    )

    def feed() -> None:
        for batch in batches(total):
            computer._batches.put(batch)
        computer._batches.close()

    shards: list[Any] = []
    threads = [Thread(target=feed), Thread(target=lambda: shards.extend(computer._computed))]
    for thread in threads:
        thread.start()
    computer._compute()
    computer._computed.close()
    for thread in threads:
        thread.join()
    return net, shards, most


def test_places_stay_empty_in_the_last_tile_only() -> None:
    net, shards, most = run(100_000)
    assert net.queue.spectra == 100_000
    empty = net.queue.places - net.queue.spectra
    assert empty / net.queue.places < 0.03
    # Alone, every batch would have a started tile of its own.
    assert sum(-(-len(batch.spectra) // TILE) for batch in batches(100_000)) > 1.5 * net.queue.launches
    labels = np.concatenate([part for shard in shards for part in shard.labels])
    np.testing.assert_array_equal(labels, np.arange(100_000))
    assert [shard.shard for shard in shards] == list(range(len(shards)))
    assert max(most) == 4
