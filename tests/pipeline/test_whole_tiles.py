"""A run keeps the tiles of a GPU full and in flight: launches and empty places are counted with a fake engine."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.engines.tile_queue import TileQueue
from apnet_fast.pipeline import compute
from apnet_fast.pipeline.compute import Computer, _Batch
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.pipeline.work import Done, Work
from apnet_fast.recipes.flux import FluxCounts

# Spectra of a tile of sm90's table with 20 draws, and of a batch by default.
TILE, BATCH, FILES_OF_A_SHARD = 62, 64, 500


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may stop the thread that reads for long; nothing here may need a pause."""
    monkeypatch.setattr(compute, "_PAUSE", 600.0)


class FakeNetwork:
    """Computes nothing, for spectra of four pixels without draws."""

    device, pixels, draws = torch.device("cpu"), 4, 0

    def __init__(self, spectra: int) -> None:
        self.spectra = spectra

    def compute(self, flux: torch.Tensor, error: object, keys: object, outputs: torch.Tensor, spectra: int) -> None:
        outputs.copy_(flux[:, :1, None].expand(-1, -1, 3))


class FakeNet:
    """A net whose engine is a queue of tiles; its labels are the first pixels."""

    def __init__(self, tile: int) -> None:
        self.queue = TileQueue(FakeNetwork(tile))
        self.engine = SimpleNamespace(
            preferred_batch=lambda draws: 4 * tile, checkpoint=SimpleNamespace(for_simulated_only=False)
        )
        self.recipe = SimpleNamespace(incomplete_photometry=lambda photometry, n: np.zeros(n, bool))
        self.under_way = self.most_under_way = 0

    def submit_labels(self, flux: np.ndarray, error: np.ndarray, ids: object, **how: Any) -> Callable[[], np.ndarray]:
        ticket = self.queue.submit(flux, error, np.zeros(len(flux), np.uint64))
        self.under_way += len(flux)
        self.most_under_way = max(self.most_under_way, self.under_way)

        def labels() -> np.ndarray:
            self.under_way -= len(flux)
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


def batches(total: int, batch: int = BATCH) -> list[_Batch]:
    """Files of one to eight spectra, gathered and cut into shards as the reading stage does it."""
    rng = np.random.default_rng(0)
    found, first, held, files, shard = [], 0, 0, 0, 0
    while first + held < total:
        held += min(int(rng.integers(1, 9)), total - first - held)
        files += 1
        ends = files == FILES_OF_A_SHARD or first + held == total
        if ends or held >= batch:
            found.append(_Batch(shard, Spectra(first, held), None, 1, ends))  # type: ignore[arg-type]
            first, held = first + held, 0
        if ends:
            shard, files = shard + 1, 0
    return found


def run(total: int, batch: int = BATCH, tile: int = TILE) -> tuple[FakeNet, list[Any]]:
    net, counted = FakeNet(tile), list[Done]()
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
        for each in batches(total, batch):
            computer._batches.put(each)
        computer._batches.close()

    shards: list[Any] = []
    threads = [Thread(target=feed), Thread(target=lambda: shards.extend(computer._computed))]
    for thread in threads:
        thread.start()
    computer._compute()
    computer._computed.close()
    for thread in threads:
        thread.join()
    return net, shards


def labels_of(shards: list[Any]) -> np.ndarray:
    assert [shard.shard for shard in shards] == list(range(len(shards)))
    return np.concatenate([part for shard in shards for part in shard.labels])


def test_places_stay_empty_in_the_last_tile_only() -> None:
    net, shards = run(100_000)
    assert net.queue.spectra == 100_000
    empty = net.queue.places - net.queue.spectra
    assert empty / net.queue.places < 0.03
    # Alone, every batch would have a started tile of its own.
    assert sum(-(-len(batch.spectra) // TILE) for batch in batches(100_000)) > 1.5 * net.queue.launches
    np.testing.assert_array_equal(labels_of(shards), np.arange(100_000))


# Tiles of sm90's table with 20, 2 and 0 draws.
@pytest.mark.parametrize("tile", [62, 434, 1302])
@pytest.mark.parametrize("batch", [1, 8, 64])
def test_tiles_are_full_whatever_the_batch_and_the_draws(batch: int, tile: int) -> None:
    net, shards = run(20_000, batch, tile)
    assert net.queue.launches == -(-20_000 // tile)
    np.testing.assert_array_equal(labels_of(shards), np.arange(20_000))
    # Memory holds what the engine wants, one batch behind it and one before.
    assert net.most_under_way < 4 * tile + 2 * (batch + 8)


def test_whoever_gives_out_shards_one_by_one_waits_for_no_pause() -> None:
    """The next shard comes when the one before is stored, as it may be with a team of workers."""
    net, stored, given = FakeNet(TILE), Event(), [0]
    counts: list[int] = []

    class OneByOne:
        def next(self, *, wait: bool) -> Work | None:
            if given[0] and not stored.wait(60 if wait else 0):
                return None
            stored.clear()
            given[0] += 1
            return Work(given[0] - 1, ("a", "b")) if given[0] <= 3 else None

        def close(self) -> None:
            pass

    class FakeReaders:
        def __init__(self, *given: object) -> None:
            self.waiting = 0

        def __enter__(self) -> FakeReaders:
            return self

        def __exit__(self, *given: object) -> None:
            pass

        hungry = property(lambda self: not self.waiting)

        def submit(self, files: tuple[str, ...]) -> None:
            self.waiting = len(files)

        def next(self) -> int:
            self.waiting -= 1
            return 1

    class FakeGathered:
        def __init__(self, size: int) -> None:
            self.files = self.spectra = 0

        def add(self, spectra: int) -> None:
            self.files, self.spectra = self.files + 1, self.spectra + spectra

    class Run(Computer):
        def _batch(self, work: Work, gathered: Any, *, ends_shard: bool) -> _Batch:
            return _Batch(work.shard, Spectra(0, gathered.spectra), None, gathered.files, ends_shard)  # type: ignore[arg-type]

        def _write(self) -> None:
            for shard in self._computed:
                counts.append(sum(map(len, shard.labels)))
                stored.set()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compute, "Readers", FakeReaders)
        patched.setattr(compute, "Gathered", FakeGathered)
        patched.setattr(compute, "state_of", str)
        Run(
            SimpleNamespace(draws=0, seed=0, readers=0, products=("star",), batch_size=BATCH),  # type: ignore[arg-type]
            net,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            StageTimes(),
            work=OneByOne(),
            on_batch=lambda done: None,
            on_shard=lambda shard, marker: None,
            stop=lambda: False,
        ).go()
    assert counts == [2, 2, 2]
