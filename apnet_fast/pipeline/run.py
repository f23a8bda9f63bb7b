"""A run: plan, compute the shards that are missing, write the catalogues."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Unpack

from apnet_fast.catalog.names import RUN_FILE
from apnet_fast.inputs.words import Inputs, resolve_inputs
from apnet_fast.networks.checkpoint import Checkpoint, load_checkpoint
from apnet_fast.pipeline.arguments import RunArguments, RunOptions
from apnet_fast.pipeline.defaults import complete_arguments
from apnet_fast.pipeline.folder import check_folder, clean, discard
from apnet_fast.pipeline.plan import MOST_SHARDS, Plan, make_plan
from apnet_fast.pipeline.provenance import provenance_cards, run_record, shards_by_instructions
from apnet_fast.pipeline.results import Results
from apnet_fast.pipeline.settings import RunSettings
from apnet_fast.pipeline.shards import DamagedPart, Marker, ShardStore
from apnet_fast.pipeline.summary import RunSummary, summary_of
from apnet_fast.pipeline.team import Job, LocalTeam, Team
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.pipeline.work import Done, Work
from apnet_fast.spectra import Product
from apnet_fast.spectra.identity import printable
from apnet_fast.support.errors import Stopped
from apnet_fast.support.files import write_json
from apnet_fast.support.limits import doing
from apnet_fast.support.lock import locked
from apnet_fast.support.notices import detail, say
from apnet_fast.support.progress import RunProgress
from apnet_fast.support.stopping import StopRequest

PathLike = str | os.PathLike[str]

# Parts that may change on disk while one run goes, before the disk is to blame.
_MOST_REPAIRS = 5


def run_survey(
    inputs: PathLike | Iterable[PathLike] | None = None,
    *,
    weights: PathLike | None = None,
    output: PathLike | None = None,
    catalog: PathLike | None = None,
    root: PathLike | None = None,
    **options: Unpack[RunOptions],
) -> RunSummary:
    """Run ApogeeNet over apStar files and write the star and visit catalogues, as `reprocess` does.

    inputs: files, folders, packs, "@list.txt" or summary tables, one or several. weights: a weights file, or "demo".
    options: gpus, device, engine, recipe, draws, seed, precision, spectra, readers, threads, batch_size, shard_size,
    mix_instructions, max_failures and restart, as `RunArguments` describes them: device="cpu", recipe="dr19", draws=20.
    What is left out comes from the environment, see `pipeline.defaults.complete_arguments`.

    Call it again after an interruption and it goes on. Raises TypeError for an unknown argument, and UsageError and
    Stopped as `run` does.
    """
    _check_names(options)
    words = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    return run(
        complete_arguments(
            inputs=None if words is None else tuple(os.fspath(word) for word in words),
            weights=None if weights is None else os.fspath(weights),
            output=None if output is None else Path(output),
            catalog=None if catalog is None else Path(catalog),
            root=None if root is None else Path(root),
            **options,
        )
    )


def _check_names(options: Mapping[str, object]) -> None:
    """Raise TypeError, as Python does for other functions, for arguments that `run_survey` does not have."""
    known = [*inspect.signature(run_survey).parameters, *RunOptions.__annotations__]
    known.remove("options")
    for name in options:
        if name not in known:
            closest = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {closest[0]!r}?" if closest else f"It takes {', '.join(known)}."
            raise TypeError(f"run_survey() got an unexpected keyword argument {name!r}. {hint}")


def run(arguments: RunArguments, team: Team | None = None) -> RunSummary:
    """Do what the arguments ask for, or go on with it where an earlier run stopped.

    team: who computes the shards; default this machine. It is closed at the end.

    Raises UsageError (wrong arguments, weights or output folder) and Stopped (a signal, or more failures than allowed).
    """
    team = team or LocalTeam()
    with StopRequest("step") as stop, closing(team):
        return _run(team.prepare(arguments, stop.check), stop, team)


def _run(settings: RunSettings, stop: StopRequest, team: Team) -> RunSummary:
    times = StageTimes()
    if settings.threads is not None:
        import torch

        torch.set_num_threads(settings.threads)
    with times.measure("planning"), doing("finding the inputs"):
        inputs = resolve_inputs(settings.words, str(settings.root) if settings.root else None)
    stop.check()
    with times.measure("loading"), doing("loading the weights"):
        checkpoint = load_checkpoint(settings.weights)
    stop.check()
    plan = make_plan(settings, inputs, checkpoint)
    for line in left_out_lines(inputs):
        say(line)
    if plan.shard_size > settings.shard_size:
        say(f"{plan.shard_size} files per shard, not {settings.shard_size}: a run has at most {MOST_SHARDS} shards")
    check_folder(settings.output)
    settings.output.mkdir(parents=True, exist_ok=True)
    with locked(settings.output, on_loss=stop.request):
        check_folder(settings.output)
        return _Run(settings, plan, checkpoint, inputs, times, stop, team).go()


def left_out_lines(inputs: Inputs) -> list[str]:
    """Return in words what of the inputs a run leaves out, and other notes about them."""
    lines = list(inputs.notes)
    if inputs.nameless_rows:
        lines.append(f"{inputs.nameless_rows} rows of tables left out: they name no file")
    if inputs.other_products:
        lines.append(
            f"{len(inputs.other_products)} FITS files left out: not apStar, such as {inputs.other_products[0]}"
        )
    if inputs.superseded:
        lines.append(
            f"{len(inputs.superseded)} FITS files left out: older versions (STARVER) of stars; {RUN_FILE} names them"
        )
    return lines


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
        self.store = ShardStore(settings.output, plan, settings.products, settings.instructions)
        self.results = Results(settings.output, settings.products)
        self.times, self.stop = times, stop
        self.started = datetime.now(UTC)

    def go(self) -> RunSummary:
        results = [path.name for path in self.results.paths]
        if self.settings.restart:
            discard(self.settings.output, results, self.plan.shards)
        self.store.open()
        clean(self.settings.output, results)
        try:
            return self._go_on()
        except OSError as error:
            if self.store.folder.is_dir():
                raise
            raise Stopped(
                "the output folder went away while the run was writing to it",
                got=str(error),
                remedy="see what removed or unmounted it; then give the same command again",
                where=str(self.settings.output),
            ) from error

    def _go_on(self) -> RunSummary:
        """Compute what is missing, and write the results unless they are whole."""
        markers = self._finished()
        pending = [shard for shard, marker in markers.items() if marker is None]
        resumed = self.plan.shards - len(pending)
        if pending:
            if resumed:
                say(f"going on: {resumed} of {self.plan.shards} shards are done")
            markers.update(self._compute(pending, _complete(markers)))
        record = None if pending else self.results.record_of_whole()
        matches: Mapping[Product, Mapping[str, int]]
        if record is not None:
            say("this run is complete already; nothing to do (--restart does it again)")
            matches = record.catalog.rows_by_match if record.catalog else {}
            return replace(self._summary(markers), matches=matches)
        matches = self._write_results(markers, resumed)
        summary = replace(self._summary(markers), rate=self.times.rate, bound=self.times.bound())
        return summary if self.settings.catalog is None else replace(summary, matches=matches)

    def _finished(self) -> dict[int, Marker | None]:
        """Return the markers of finished shards, None for the others."""
        with self.times.measure("resuming"):
            found = self.store.finished(self.stop.check)
        return {shard: found.get(shard) for shard in range(self.plan.shards)}

    def _compute(self, pending: Sequence[int], done: Sequence[Marker]) -> dict[int, Marker]:
        settings, plan = self.settings, self.plan
        say(
            f"{len(plan.files)} files, {len(pending)} of {plan.shards} shards to do;"
            f" engine {settings.engine} on {settings.device}, {settings.precision}, recipe {settings.recipe}"
        )
        work = []
        for shard in pending:
            self.store.forget(shard)  # what is there is not whole, or an attempt that may go better now
            files = plan.files_of(shard)
            work.append(Work(shard, files, self.inputs.known.part(files)))
        files_done = len(plan.files) - sum(len(shard.files) for shard in work)
        markers: dict[int, Marker] = {}
        self.stop.unit = "shard"
        with RunProgress(len(plan.files), files_done) as progress:
            count = _Count(progress, sum(marker.failures for marker in done), settings.max_failures)

            def stored(shard: int, marker: Marker) -> None:
                markers[shard] = marker
                rows = ", ".join(f"{part.rows} {name} rows" for name, part in marker.parts.items())
                detail(f"shard {shard} of {plan.shards} is stored: {rows}")

            self.team.go(
                Job(settings, plan, self.checkpoint, self.store, self.times),
                work,
                on_batch=count.add,
                on_shard=stored,
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

    def _summary(self, markers: Mapping[int, Marker | None]) -> RunSummary:
        summary = summary_of(_complete(markers), self.settings.products)
        warnings = summary.flux.messages(self.checkpoint.plausible_flux)
        if self.checkpoint.for_simulated_only:
            real, mark = summary.worthless, self.recipe.flag_table.unreliable_text
            warnings.append(
                f"these weights are for simulated spectra only ({self.checkpoint.origin}): for real stars their labels"
                " mean nothing" + (f". {real} spectra of this run are real; their rows carry {mark}" if real else "")
            )
        return replace(summary, warnings=tuple(warnings))

    def _write_results(self, markers: dict[int, Marker | None], resumed: int) -> dict[Product, dict[str, int]]:
        """Write the catalogues, then run.json; return the rows of each product by `source_match`.

        A shard whose parts have changed on disk since they were written is done again.
        """
        for _ in range(_MOST_REPAIRS):
            try:
                matches = self._write_catalogues(_complete(markers))
            except DamagedPart as damaged:
                say(f"a part has changed since it was written; its shard is done again [{damaged.path}]")
                markers[damaged.shard] = None
                markers.update(self._compute([damaged.shard], _complete(markers)))
            else:
                self._write_record(_complete(markers), matches, resumed)
                return matches
        raise Stopped(
            "parts of shards change after they are written",
            got=f"{_MOST_REPAIRS} of them",
            remedy="see whether the disk works, or another program writes there; then give the same command again",
            where=str(self.store.folder),
        )

    def _write_catalogues(self, markers: Sequence[Marker]) -> dict[Product, dict[str, int]]:
        self.stop.unit = "table"
        with self.times.measure("catalogues"), doing("writing the catalogues"):
            return self.results.write(
                self.store,
                markers,
                self.recipe,
                lambda product: provenance_cards(self.plan, self.recipe, self.checkpoint, product),
                datetime.now(UTC),
                self.stop.check,
            )

    def _write_record(self, markers: Sequence[Marker], matches: dict[Product, dict[str, int]], resumed: int) -> None:
        with self.times.measure("catalogues"):
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
            summary=self._summary(dict(enumerate(markers))),
            products=products,
            instruction_sets=shards_by_instructions(markers),
            resumed_shards=resumed,
            times=self.times,
            started=self.started,
            finished=datetime.now(UTC),
        )
        write_json(self.results.record, record)


def _complete(markers: Mapping[int, Marker | None]) -> list[Marker]:
    """Return the markers of finished shards, in order."""
    return [marker for _, marker in sorted(markers.items()) if marker is not None]


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
