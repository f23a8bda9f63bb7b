"""Shards through three stages that run at the same time: reading, the engine, writing.

Reading and writing are threads, the engine is the caller's. Bounded channels lie between them, so memory holds a few
batches and a few finished shards, whatever the length of the run. What a shard holds does not depend on the overlap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from threading import Thread
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from apnet_fast.api import ApogeeNet
from apnet_fast.catalog.rows import RowTimes, catalog_rows, quarantine_rows
from apnet_fast.catalog.sources import SourceMatches, SourceTable
from apnet_fast.inputs.changed_files import state_of
from apnet_fast.pipeline.arguments import RunArguments
from apnet_fast.pipeline.channel import BrokenOff, Channel
from apnet_fast.pipeline.shards import QUARANTINE, Marker, ShardStore
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.readers.pool import Readers
from apnet_fast.recipes import Labels
from apnet_fast.spectra import SpectrumBatch, SpectrumRecord
from apnet_fast.support.grid import PIXELS

# Batches that wait for the engine, and shards that wait to be written.
_BATCHES_AHEAD, _SHARDS_BEHIND = 2, 2
# Rows of a batch beyond its size: most files fit into them, so that batches seldom have to be made larger.
_SPARE_ROWS = 32


@dataclass(frozen=True)
class Work:
    """A shard to compute."""

    shard: int
    files: tuple[str, ...]


class WorkSource(Protocol):
    """Where the shards of a `Computer` come from."""

    def next(self, *, wait: bool) -> Work | None:
        """The next shard; None where there is none now or, where it may wait, none any more."""

    def close(self) -> None:
        """No more shards are wanted: end any waiting."""


class WorkList:
    """Shards that are known from the beginning."""

    def __init__(self, work: Iterable[Work]) -> None:
        self._rest = iter(work)

    def next(self, *, wait: bool) -> Work | None:
        """The next shard; None behind the last."""
        return next(self._rest, None)

    def close(self) -> None:
        """Forget the rest."""
        self._rest = iter(())


@dataclass(frozen=True)
class Done:
    """What went through the engine at once: files, spectra and those of them without a result, of a shard."""

    shard: int
    files: int
    spectra: int
    failures: int


@dataclass(frozen=True)
class _Batch:
    shard: int
    spectra: SpectrumBatch
    files: int
    ends_shard: bool


@dataclass(frozen=True)
class _Computed:
    shard: int
    records: Sequence[SpectrumRecord]
    labels: Labels
    elapsed: NDArray[np.float32]
    incomplete_photometry: int
    matches: SourceMatches | None


class Computer:
    """Computes shards and stores them.

    sources: what fills columns that spectra do not know themselves.
    on_batch: called by the engine's thread, and may raise. on_shard: called by the writer's. stop: asked after each
    shard.
    """

    def __init__(
        self,
        arguments: RunArguments,
        net: ApogeeNet,
        store: ShardStore,
        times: StageTimes,
        *,
        sources: SourceTable | None = None,
        source: WorkSource,
        on_batch: Callable[[Done], None],
        on_shard: Callable[[int, Marker], None],
        stop: Callable[[], bool],
    ) -> None:
        self.arguments, self.net, self.store, self.times = arguments, net, store, times
        self.sources = sources
        self.source, self.on_batch, self.on_shard, self.stop = source, on_batch, on_shard, stop
        self._batches: Channel[_Batch] = Channel(_BATCHES_AHEAD)
        self._computed: Channel[_Computed] = Channel(_SHARDS_BEHIND)
        self._errors: list[BaseException] = []
        self._states: dict[int, list[str]] = {}

    def go(self) -> None:
        """Compute until there is no more work or `stop` says so; what was computed is written then.

        Raises what a stage raised: of shards that were not finished nothing is stored.
        """
        reader = Thread(target=self._guarded, args=(self._read, self._batches.close), daemon=True)
        writer = Thread(target=self._guarded, args=(self._write, self._computed.break_off), daemon=True)
        reader.start()
        writer.start()
        try:
            with suppress(BrokenOff):
                self._compute()
        finally:
            self.source.close()
            self._batches.break_off()
            self._computed.close()
            writer.join()
            reader.join()
        if self._errors:
            raise self._errors[0]

    def _guarded(self, stage: Callable[[], None], end: Callable[[], None]) -> None:
        """Run a stage in its thread; its error is raised again in the engine's."""
        try:
            with suppress(BrokenOff):
                stage()
        except BaseException as error:  # noqa: BLE001 - raised again by `go`
            self._errors.append(error)
            self._batches.break_off()
        finally:
            end()

    def _read(self) -> None:
        times, products = self.times, self.arguments.products
        under_way: deque[Work] = deque()
        gathered = _Gathered(self.arguments.batch_size)
        files = 0
        with Readers(self.arguments.readers, products) as readers:
            while True:
                with times.wait("reading"):
                    while readers.hungry and (work := self.source.next(wait=not under_way)) is not None:
                        # Before they are read: a change in between is then noticed when the run goes on.
                        self._states[work.shard] = list(map(state_of, work.files))
                        readers.submit(work.files)
                        under_way.append(work)
                if not under_way:
                    return
                with times.measure("reading"):
                    gathered.add(readers.next())
                files += 1
                shard_is_read = files == len(under_way[0].files)
                if shard_is_read or gathered.spectra >= self.arguments.batch_size:
                    with times.wait("reading"):
                        self._batches.put(
                            _Batch(under_way[0].shard, gathered.take(), gathered.files, ends_shard=shard_is_read)
                        )
                    gathered = _Gathered(self.arguments.batch_size)
                if shard_is_read:
                    under_way.popleft()
                    files = 0

    def _compute(self) -> None:
        records: list[SpectrumRecord] = []
        labels: list[Labels] = []
        elapsed: list[NDArray[np.float32]] = []
        found: list[SourceMatches] = []
        incomplete = 0
        for batch in self.times.awaited("engine", self._batches):
            spectra, usable = batch.spectra, batch.spectra.usable
            failures = len(spectra) - int(usable.sum())
            self.on_batch(Done(batch.shard, batch.files, len(spectra), failures))
            with self.times.measure("engine") as timer:
                photometry = None
                if self.sources is not None:
                    found.append(self.sources.match(spectra.records))
                    photometry = self.sources.photometry(found[-1])
                labels.append(self._labels(spectra, usable, photometry))
            incomplete += int(self.net.recipe.incomplete_photometry(photometry, len(spectra))[usable].sum())
            elapsed.append(np.where(usable, timer.seconds / max(int(usable.sum()), 1), 0).astype(np.float32))
            records.extend(spectra.records)
            self.times.spectra += len(spectra)
            if batch.ends_shard:
                with self.times.wait("engine"):
                    matches = SourceMatches.concatenate(found) if found else None
                    self._computed.put(
                        _Computed(batch.shard, records, _joined(labels), np.concatenate(elapsed), incomplete, matches)
                    )
                records, labels, elapsed, found, incomplete = [], [], [], [], 0
                if self.stop():
                    return

    def _labels(
        self, spectra: SpectrumBatch, usable: NDArray[np.bool_], photometry: NDArray[np.float32] | None
    ) -> Labels:
        return self.net.labels(
            spectra.flux,
            spectra.error,
            [record.identity for record in spectra.records],
            draws=self.arguments.draws,
            seed=self.arguments.seed,
            usable=usable,
            photometry=photometry,
        )

    def _write(self) -> None:
        for done in self.times.awaited("writing", self._computed):
            with self.times.measure("writing"):
                times = RowTimes(datetime.now(UTC), done.elapsed)
                tables: dict[str, pa.Table] = {QUARANTINE: quarantine_rows(done.records)}
                network = self.net.recipe.network
                for product in self.arguments.products:
                    tables[product] = catalog_rows(
                        product, done.records, done.labels, times, done.matches, network=network
                    )
                states = self._states.pop(done.shard)
                marker = self.store.write(done.shard, tables, done.incomplete_photometry, states)
            self.on_shard(done.shard, marker)


class _Gathered:
    """Spectra of several files, copied into one batch."""

    def __init__(self, batch_size: int) -> None:
        self._flux = np.empty((batch_size + _SPARE_ROWS, PIXELS), np.float32)
        self._error = np.empty_like(self._flux)
        self._records: list[SpectrumRecord] = []
        self.files = 0

    @property
    def spectra(self) -> int:
        return len(self._records)

    def add(self, file: SpectrumBatch) -> None:
        start, stop = self.spectra, self.spectra + len(file)
        if stop > len(self._flux):
            self._flux, self._error = (_longer(array, start, stop) for array in (self._flux, self._error))
        self._flux[start:stop] = file.flux
        self._error[start:stop] = file.error
        self._records.extend(file.records)
        self.files += 1

    def take(self) -> SpectrumBatch:
        return SpectrumBatch(self._flux[: self.spectra], self._error[: self.spectra], self._records)


def _longer(array: NDArray[np.float32], used: int, length: int) -> NDArray[np.float32]:
    longer = np.empty((length, PIXELS), np.float32)
    longer[:used] = array[:used]
    return longer


def _joined(parts: Sequence[Labels]) -> Labels:
    return Labels(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Labels)}
    )
