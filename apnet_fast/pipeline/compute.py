"""Compute shards in three stages that run at the same time: reading, the engine, writing.

Reading and writing have a thread each; the engine uses the caller's. Bounded channels connect them, so memory holds a
few batches, on a GPU what fills a few of its tiles, and a few finished shards, however long the run. What a shard holds
does not depend on the overlap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from itertools import chain
from threading import Thread

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from apnet_fast.api import ApogeeNet
from apnet_fast.catalog.rows import RowTimes, catalogue_rows, quarantine_rows
from apnet_fast.catalog.sources import SourceMatches, SourceTable
from apnet_fast.inputs.changed_files import marked_as_useless, state_of
from apnet_fast.inputs.known_files import completed
from apnet_fast.pipeline.channel import BrokenOff, Channel
from apnet_fast.pipeline.gathering import Gathered
from apnet_fast.pipeline.settings import RunSettings
from apnet_fast.pipeline.shards import QUARANTINE, Marker, ShardStore
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.pipeline.work import Done, Work, WorkQueue
from apnet_fast.readers.pool import Readers
from apnet_fast.recipes import Labels
from apnet_fast.recipes.flux import FluxCounts
from apnet_fast.spectra import SpectrumBatch, SpectrumRecord
from apnet_fast.support.limits import doing

# Batches that wait for the engine, and shards that wait to be written.
_BATCHES_AHEAD, _SHARDS_BEHIND = 2, 2
# Seconds after which the labels of all batches are taken if none comes: their tiles will not become fuller, and others
# may wait for the shard.
_PAUSE = 0.5


@dataclass(frozen=True)
class _Batch:
    """Spectra on their way to the engine. matches: their rows of the catalog, if the network uses photometry."""

    shard: int
    spectra: SpectrumBatch
    matches: SourceMatches | None
    files: int
    ends_shard: bool


@dataclass(frozen=True)
class _UnderWay:
    """A batch in the engine. labels: waits for them; seconds: what handing it over cost.

    worthless: bool (n,), spectra for which the weights mean nothing; None is none.
    """

    batch: _Batch
    photometry: NDArray[np.float32] | None
    worthless: NDArray[np.bool_] | None
    labels: Callable[[], Labels]
    seconds: float


@dataclass
class _Computed:
    """What the engine has made of a shard so far, batch by batch."""

    shard: int
    records: list[SpectrumRecord] = field(default_factory=list)
    labels: list[Labels] = field(default_factory=list)
    elapsed: list[NDArray[np.float32]] = field(default_factory=list)
    matches: list[SourceMatches] = field(default_factory=list)
    incomplete_photometry: int = 0
    flux: FluxCounts = field(default_factory=FluxCounts)
    worthless: int = 0

    def add(
        self,
        batch: _Batch,
        labels: Labels,
        seconds: float,
        incomplete: NDArray[np.bool_],
        flux: FluxCounts,
        worthless: NDArray[np.bool_] | None,
    ) -> None:
        """Add a batch. seconds: what it cost; incomplete: bool (n,), spectra that lack photometry.

        worthless: bool (n,), spectra for which the weights mean nothing; None is none.
        """
        usable = batch.spectra.usable
        self.records.extend(batch.spectra.records)
        self.labels.append(labels)
        self.elapsed.append(np.where(usable, seconds / max(int(usable.sum()), 1), 0).astype(np.float32))
        if batch.matches is not None:
            self.matches.append(batch.matches)
        self.incomplete_photometry += int(incomplete[usable].sum())
        self.flux += flux
        if worthless is not None:
            self.worthless += int(worthless[usable].sum())


class Computer:
    """Computes shards and stores them.

    sources: the catalog that fills columns which spectra do not know. work: where shards come from. on_batch: called in
    the engine's thread, and may raise. on_shard: called in the writer's. stop: asked after each shard.
    """

    def __init__(
        self,
        settings: RunSettings,
        net: ApogeeNet,
        store: ShardStore,
        times: StageTimes,
        *,
        sources: SourceTable | None = None,
        work: WorkQueue,
        on_batch: Callable[[Done], None],
        on_shard: Callable[[int, Marker], None],
        stop: Callable[[], bool],
    ) -> None:
        self.settings, self.net, self.store, self.times = settings, net, store, times
        self.sources = sources
        self.work, self.on_batch, self.on_shard, self.stop = work, on_batch, on_shard, stop
        # None among them: no batch comes until labels are there.
        self._batches: Channel[_Batch | None] = Channel(_BATCHES_AHEAD)
        self._computed: Channel[_Computed] = Channel(_SHARDS_BEHIND)
        self._errors: list[BaseException] = []
        self._states: dict[int, dict[str, str]] = {}

    def go(self) -> None:
        """Compute until no work is left or `stop` is true, and write what was computed.

        Raises what a stage raised. Nothing is stored of shards that were not finished.
        """
        reading = ("reading spectra", self._read, self._batches.close)
        writing = ("storing a shard", self._write, self._computed.break_off)
        reader, writer = (Thread(target=self._guarded, args=stage, daemon=True) for stage in (reading, writing))
        try:
            reader.start()
            writer.start()
            with suppress(BrokenOff), doing("computing labels"):
                self._compute()
        finally:
            self.work.close()
            self._batches.break_off()
            self._computed.close()
            for thread in (writer, reader):
                if thread.ident is not None:  # it was started
                    thread.join()
        if self._errors:
            raise self._errors[0]

    def _guarded(self, name: str, stage: Callable[[], None], end: Callable[[], None]) -> None:
        """Run a stage in its thread; `go` raises its error again in the engine's."""
        try:
            with suppress(BrokenOff), doing(name):
                stage()
        except BaseException as error:  # noqa: BLE001 - raised again by `go`
            self._errors.append(error)
            self._batches.break_off()
        finally:
            end()

    def _read(self) -> None:
        times, products = self.times, self.settings.products
        under_way: deque[Work] = deque()
        gathered = Gathered(self.settings.batch_size)
        files = 0
        with Readers(self.settings.readers, products) as readers:
            while True:
                with times.wait("reading"):
                    while readers.hungry and (work := self._next(wait=not under_way)) is not None:
                        # Before they are read, so that a change in between is noticed when the run goes on.
                        self._states[work.shard] = {path: state_of(path) for path in work.files}
                        readers.submit(work.files)
                        under_way.append(work)
                if not under_way:
                    return
                with times.measure("reading"):
                    gathered.add(readers.next())
                files += 1
                shard_is_read = files == len(under_way[0].files)
                if shard_is_read or gathered.spectra >= self.settings.batch_size:
                    batch = self._batch(under_way[0], gathered, ends_shard=shard_is_read)
                    with times.wait("reading"):
                        self._batches.put(batch)
                    gathered = Gathered(self.settings.batch_size)
                if shard_is_read:
                    under_way.popleft()
                    files = 0

    def _next(self, *, wait: bool) -> Work | None:
        """Return the next shard, as `WorkQueue.next`; before waiting for it, have those that were read finished."""
        work = self.work.next(wait=False)
        if work is None and wait:
            # Whoever gives out shards may wait for these.
            self._batches.put(None)
            work = self.work.next(wait=True)
        return work

    def _batch(self, work: Work, gathered: Gathered, *, ends_shard: bool) -> _Batch:
        spectra = gathered.batch()
        spectra = SpectrumBatch(spectra.flux, spectra.error, completed(spectra.records, work.known))
        # Only a network with photometry needs to know the sources now; the writer finds them otherwise.
        early = self.sources is not None and self.net.recipe.photometry is not None
        matches = self._matches(spectra.records) if early else None
        return _Batch(work.shard, spectra, matches, gathered.files, ends_shard)

    def _matches(self, records: Sequence[SpectrumRecord]) -> SourceMatches | None:
        return None if self.sources is None else self.sources.match(records)

    def _compute(self) -> None:
        """Hand batches to the engine and take their labels, in order, while it works on the next ones.

        The labels of a batch are taken once as many spectra as the engine wants are under way behind it, so that its
        tiles are full; and all of them if no batch follows.
        """
        wanted = self.net.engine.preferred_batch(self.settings.draws)
        under_way: deque[_UnderWay] = deque()
        spectra = 0
        shard: _Computed | None = None
        batches = self._batches.with_pauses(_PAUSE if wanted else None)
        for batch in chain(self.times.awaited("engine", batches), [None]):
            if batch is not None:
                under_way.append(self._submitted(batch))
                spectra += len(batch.spectra)
            least = 0 if batch is None or wanted is None else wanted
            while under_way and spectra - len(under_way[0].batch.spectra) >= least:
                done = under_way.popleft()
                spectra -= len(done.batch.spectra)
                shard = self._finished(done, shard or _Computed(done.batch.shard))
                if done.batch.ends_shard:
                    with self.times.wait("engine"):
                        self._computed.put(shard)
                    shard = None
                    if self.stop():
                        return

    def _submitted(self, batch: _Batch) -> _UnderWay:
        spectra, usable = batch.spectra, batch.spectra.usable
        self.on_batch(Done(batch.shard, batch.files, len(spectra), len(spectra) - int(usable.sum())))
        with self.times.measure("engine") as timer:
            photometry = None if batch.matches is None else batch.matches.table.photometry(batch.matches)
            worthless = self._unreliable(spectra.records)
            labels = self.net.submit_labels(
                spectra.flux,
                spectra.error,
                [record.identity for record in spectra.records],
                draws=self.settings.draws,
                seed=self.settings.seed,
                usable=usable,
                photometry=photometry,
                unreliable=worthless,
            )
        return _UnderWay(batch, photometry, worthless, labels, timer.seconds)

    def _finished(self, done: _UnderWay, shard: _Computed) -> _Computed:
        """Wait for a batch's labels and add them to its shard."""
        spectra = done.batch.spectra
        with self.times.measure("engine") as timer:
            labels = done.labels()
        incomplete = self.net.recipe.incomplete_photometry(done.photometry, len(spectra))
        flux = self.net.count(spectra.flux, labels, spectra.usable, self.settings.draws)
        shard.add(done.batch, labels, done.seconds + timer.seconds, incomplete, flux, done.worthless)
        self.times.spectra += len(spectra)
        return shard

    def _unreliable(self, records: Sequence[SpectrumRecord]) -> NDArray[np.bool_] | None:
        """Tell which spectra these weights mean nothing for: real ones, if the weights know only simulated ones."""
        if not self.net.engine.checkpoint.for_simulated_only:
            return None
        return np.fromiter((not record.simulated for record in records), bool, len(records))

    def _write(self) -> None:
        for done in self.times.awaited("writing", self._computed):
            with self.times.measure("writing"):
                marker = self.store.write(
                    done.shard,
                    self._tables(done),
                    done.incomplete_photometry,
                    _with_marks(self._states.pop(done.shard), done.records),
                    done.flux,
                    done.worthless,
                )
            self.on_shard(done.shard, marker)

    def _tables(self, done: _Computed) -> dict[str, pa.Table]:
        """Return the rows of a shard, by part."""
        labels, times = _joined(done.labels), RowTimes(datetime.now(UTC), np.concatenate(done.elapsed))
        matches = SourceMatches.concatenate(done.matches) if done.matches else self._matches(done.records)
        tables: dict[str, pa.Table] = {QUARANTINE: quarantine_rows(done.records)}
        for product in self.settings.products:
            recipe = self.net.recipe
            tables[product] = catalogue_rows(
                product, done.records, labels, times, matches, network=recipe.network, medians=recipe.medians
            )
        return tables


def _with_marks(states: Mapping[str, str], records: Sequence[SpectrumRecord]) -> list[str]:
    """Return the states of files, in order, marked for those that have records but no usable one."""
    usable = {record.path for record in records if record.reason is None}
    useless = {record.path for record in records} - usable
    return [marked_as_useless(state) if path in useless else state for path, state in states.items()]


def _joined(parts: Sequence[Labels]) -> Labels:
    return Labels(
        **{each.name: np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(Labels)}
    )
