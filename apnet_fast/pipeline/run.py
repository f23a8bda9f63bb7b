"""A run: plan, compute the shards that are missing, write the catalogues."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apnet_fast.catalog.names import RUN_FILE
from apnet_fast.inputs.words import Inputs, resolve_inputs
from apnet_fast.networks.checkpoint import Checkpoint, load_checkpoint
from apnet_fast.pipeline.arguments import RunArguments
from apnet_fast.pipeline.plan import Plan, make_plan
from apnet_fast.pipeline.provenance import provenance_cards, run_record
from apnet_fast.pipeline.results import Results
from apnet_fast.pipeline.settings import RunSettings
from apnet_fast.pipeline.shards import Marker, ShardStore
from apnet_fast.pipeline.summary import RunSummary, summary_of
from apnet_fast.pipeline.team import Job, LocalTeam, Team
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.pipeline.work import Done, Work
from apnet_fast.spectra import Product
from apnet_fast.spectra.identity import printable
from apnet_fast.support.errors import Stopped
from apnet_fast.support.files import write_json
from apnet_fast.support.lock import locked
from apnet_fast.support.notices import say
from apnet_fast.support.progress import RunProgress
from apnet_fast.support.stopping import StopRequest

PathLike = str | os.PathLike[str]


def run_survey(
    inputs: PathLike | Iterable[PathLike],
    *,
    weights: PathLike,
    output: PathLike,
    catalog: PathLike | None = None,
    root: PathLike | None = None,
    **options: Any,
) -> RunSummary:
    """Run ApogeeNet over apStar files and write the star and visit catalogues, as `reprocess` does.

    inputs: files, folders, packs, "@list.txt" or summary tables, one or several. weights: a weights file, or "demo".
    options: any other field of `RunArguments`, such as device="cpu", recipe="dr19" or draws=20.

    Call it again after an interruption and it goes on. Raises UsageError and Stopped as `run` does.
    """
    words = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    return run(
        RunArguments(
            inputs=tuple(os.fspath(word) for word in words),
            weights=Path(weights),
            output=Path(output),
            catalog=None if catalog is None else Path(catalog),
            root=None if root is None else Path(root),
            **options,
        )
    )


def run(arguments: RunArguments, team: Team | None = None) -> RunSummary:
    """Do what the arguments ask for, or go on with it where an earlier run stopped.

    team: who computes the shards; default this machine. It is closed at the end.

    Raises UsageError (wrong arguments, weights or output folder) and Stopped (a signal, or more failures than allowed).
    """
    team = team or LocalTeam()
    with StopRequest("step") as stop, closing(team):
        return _run(team.prepare(arguments), stop, team)


def _run(settings: RunSettings, stop: StopRequest, team: Team) -> RunSummary:
    times = StageTimes()
    if settings.threads is not None:
        import torch

        torch.set_num_threads(settings.threads)
    with times.measure("planning"):
        inputs = resolve_inputs(settings.words, str(settings.root) if settings.root else None)
    stop.check()
    with times.measure("loading"):
        checkpoint = load_checkpoint(settings.weights)
        settings = replace(settings, precision=settings.effective_precision(checkpoint))
    stop.check()
    plan = make_plan(settings, inputs, checkpoint)
    _say_what_is_left_out(inputs)
    settings.output.mkdir(parents=True, exist_ok=True)
    with locked(settings.output):
        return _Run(settings, plan, checkpoint, inputs, times, stop, team).go()


def _say_what_is_left_out(inputs: Inputs) -> None:
    for note in inputs.notes:
        say(note)
    if inputs.nameless_rows:
        say(f"{inputs.nameless_rows} rows of tables left out: they name no file")
    if inputs.other_products:
        say(f"{len(inputs.other_products)} FITS files left out: not apStar, such as {inputs.other_products[0]}")
    if inputs.superseded:
        say(f"{len(inputs.superseded)} FITS files left out: older versions (STARVER) of stars; {RUN_FILE} names them")


class _Run:
    """A run whose plan is made and whose output folder is locked."""

    def __init__(
        self,
        settings: RunSettings,
        plan: Plan,
        checkpoint: Checkpoint,
        inputs: Inputs,
        times: StageTimes,
        stop: StopRequest,
        team: Team,
    ) -> None:
        self.team = team
        self.settings, self.plan, self.checkpoint, self.inputs = settings, plan, checkpoint, inputs
        self.recipe = settings.find_recipe()
        self.store = ShardStore(settings.output, plan, settings.products)
        self.results = Results(settings.output, settings.products)
        self.times, self.stop = times, stop
        self.started = datetime.now(UTC)

    def go(self) -> RunSummary:
        if self.settings.restart:
            self.store.discard()
            self.results.remove()
        self.store.open()
        markers = self._finished()
        pending = [shard for shard, marker in markers.items() if marker is None]
        resumed = self.plan.shards - len(pending)
        if pending:
            if resumed:
                say(f"going on: {resumed} of {self.plan.shards} shards are done")
            markers.update(self._compute(pending, [marker for marker in markers.values() if marker]))
        complete = [marker for marker in markers.values() if marker is not None]
        summary = summary_of(complete, self.settings.products)
        record = None if pending else self.results.record_of_whole()
        if record is not None:
            say("this run is complete already; nothing to do (--restart does it again)")
            return replace(summary, matches=(record.get("catalog") or {}).get("rows_by_match", {}))
        matches = self._write_results(complete, summary, resumed)
        if self.settings.catalog is not None:
            summary = replace(summary, matches=matches)
        return replace(summary, rate=self.times.rate, bound=self.times.bound())

    def _finished(self) -> dict[int, Marker | None]:
        """Return the markers of finished shards, None for the others."""
        markers = {}
        for shard in range(self.plan.shards):
            markers[shard] = self.store.finished(shard)
            self.stop.check()
        return markers

    def _compute(self, pending: Sequence[int], done: Sequence[Marker]) -> dict[int, Marker]:
        settings, plan = self.settings, self.plan
        say(
            f"{len(plan.files)} files, {len(pending)} of {plan.shards} shards to do;"
            f" engine {settings.engine} on {settings.device}, {settings.precision}, recipe {settings.recipe}"
        )
        work = []
        for shard in pending:
            files = plan.files_of(shard)
            work.append(Work(shard, files, self.inputs.known.part(files)))
        files_done = len(plan.files) - sum(len(shard.files) for shard in work)
        markers: dict[int, Marker] = {}
        self.stop.unit = "shard"
        with RunProgress(len(plan.files), files_done) as progress:
            count = _Count(progress, sum(marker.failures for marker in done), settings.max_failures)
            self.team.go(
                Job(settings, plan, self.checkpoint, self.store, self.times),
                work,
                on_batch=count.add,
                on_shard=markers.__setitem__,
                stop=lambda: self.stop.requested,
            )
        self.stop.check()
        if len(markers) < len(pending):
            raise Stopped(
                "shards are left without a result",
                got=f"{len(markers)} of {len(pending)}",
                remedy="give the same command again to go on",
            )
        return markers

    def _write_results(
        self, markers: Sequence[Marker], summary: RunSummary, resumed: int
    ) -> dict[Product, dict[str, int]]:
        """Write the catalogues, then run.json; return the rows of each product by `source_match`."""
        self.stop.unit = "table"
        with self.times.measure("catalogues"):
            matches = self.results.write(
                self.store,
                markers,
                self.recipe,
                lambda product: provenance_cards(self.plan, self.recipe, self.checkpoint, product),
                datetime.now(UTC),
                self.stop.check,
            )
            products = self.results.contents()
        self.stop.check()
        catalog = self.settings.catalog
        record = run_record(
            settings=self.settings,
            workers=self.team.records(),
            plan=self.plan,
            checkpoint=self.checkpoint,
            inputs=self.inputs,
            catalog=None if catalog is None else {"file": printable(str(catalog)), "rows_by_match": matches},
            summary=summary,
            products=products,
            resumed_shards=resumed,
            times=self.times,
            started=self.started,
            finished=datetime.now(UTC),
        )
        write_json(self.results.record, record)
        return matches


class _Count:
    """Counts what goes through the engine, shows it, and stops a run that fails too often."""

    def __init__(self, progress: RunProgress, failures: int, most: int | None) -> None:
        self._progress, self._failures, self._most = progress, failures, most

    def add(self, done: Done) -> None:
        """Count a batch. Raises Stopped if more spectra have no result than allowed."""
        self._failures += done.failures
        if self._most is not None and self._failures > self._most:
            raise Stopped(
                "too many spectra without a result",
                got=self._failures,
                expected=f"at most {self._most} (--max-failures)",
                remedy="look at the inputs (is the disk there?), then give the same command again",
            )
        self._progress.advance(done.files, done.spectra, done.failures)
