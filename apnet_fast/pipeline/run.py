"""A run: plan, compute the shards that are missing, write the catalogues."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from apnet_fast.api import ApogeeNet
from apnet_fast.catalog.names import PRODUCT_NAMES, QUARANTINE_FILE, RUN_FILE
from apnet_fast.catalog.products import write_product
from apnet_fast.catalog.rows import QUARANTINE_SCHEMA
from apnet_fast.catalog.sources import SourceTable
from apnet_fast.engines import create_engine, find_engine
from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.networks.checkpoint import Checkpoint, load_checkpoint, network_of
from apnet_fast.pipeline.arguments import RunArguments
from apnet_fast.pipeline.compute import Computer, Done, Work, WorkList
from apnet_fast.pipeline.plan import Plan, make_plan
from apnet_fast.pipeline.provenance import provenance_cards, run_record
from apnet_fast.pipeline.shards import QUARANTINE, Marker, ShardStore
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.pipeline.workers import DeviceWorkers
from apnet_fast.recipes import Recipe, get_recipe
from apnet_fast.spectra import Product
from apnet_fast.spectra.identity import printable
from apnet_fast.support.errors import Stopped
from apnet_fast.support.files import locked, sha256_of, write_json, written_whole
from apnet_fast.support.progress import RunProgress, say
from apnet_fast.support.stopping import StopRequest


@dataclass(frozen=True)
class RunSummary:
    """Rows of each product, and failures by reason, of the whole catalogue; spectra a second of this run.

    incomplete_photometry: spectra with a result that lack photometry, where the network uses it; else 0. matches:
    rows of each product by what a table of sources (--catalog) knew of them. rate, and the line that says which stage
    bounded the run, are None where nothing was left to compute.
    """

    rows: dict[Product, int]
    reasons: dict[str, int]
    incomplete_photometry: int = 0
    matches: dict[Product, dict[str, int]] = field(default_factory=dict, compare=False)
    rate: float | None = field(default=None, compare=False)
    bound: str | None = field(default=None, compare=False)

    @property
    def failures(self) -> int:
        """Spectra without a result."""
        return sum(self.reasons.values())

    @property
    def results(self) -> int:
        """Spectra with a result."""
        return sum(self.rows.values()) - self.failures


def run(arguments: RunArguments) -> RunSummary:
    """Do what the arguments say, or go on with it where an earlier run stopped.

    Raises UsageError (wrong arguments, weights or output folder) and Stopped (a signal, or more failures than allowed).
    """
    with StopRequest("step") as stop:
        return _run(arguments, stop)


def _run(arguments: RunArguments, stop: StopRequest) -> RunSummary:
    times = StageTimes()
    network = network_of(arguments.weights)
    recipe = get_recipe(arguments.recipe, network)
    recipe.check_draws(arguments.draws)
    devices = arguments.device.split(",")
    engines = [find_engine(arguments.engine, arguments.precision, device, network) for device in devices]
    tuning = ",".join(sorted({engine.tuning_sha256(device) for engine, device in zip(engines, devices, strict=True)}))
    with times.measure("planning"):
        inputs = resolve_inputs(arguments.words, str(arguments.root) if arguments.root else None)
    stop.check()
    with times.measure("loading"):
        checkpoint = load_checkpoint(arguments.weights)
        arguments = replace(arguments, precision=engines[0].effective_precision(checkpoint, arguments.precision))
    stop.check()
    plan = make_plan(arguments, inputs, checkpoint, tuning)
    skipped = {"other_products": len(inputs.other_products), "older_versions": list(inputs.superseded)}
    if inputs.nameless_rows:
        skipped["rows_without_file"] = inputs.nameless_rows
        say(f"{inputs.nameless_rows} rows of tables left out: they name no file")
    if inputs.other_products:
        say(f"{len(inputs.other_products)} FITS files left out: not apStar, such as {inputs.other_products[0]}")
    if inputs.superseded:
        say(f"{len(inputs.superseded)} FITS files left out: older versions (STARVER) of stars; {RUN_FILE} names them")

    arguments.output.mkdir(parents=True, exist_ok=True)
    with locked(arguments.output):
        return _Run(arguments, plan, recipe, checkpoint, skipped, times, stop).go()


class _Run:
    def __init__(
        self,
        arguments: RunArguments,
        plan: Plan,
        recipe: Recipe,
        checkpoint: Checkpoint,
        skipped: dict[str, object],
        times: StageTimes,
        stop: StopRequest,
    ) -> None:
        self.arguments, self.plan, self.recipe = arguments, plan, recipe
        self.checkpoint, self.skipped = checkpoint, skipped
        self.store = ShardStore(arguments.output, plan, arguments.products)
        self.times, self.stop = times, stop
        self.started = datetime.now(UTC)

    def go(self) -> RunSummary:
        output = self.arguments.output
        products = [output / f"{PRODUCT_NAMES[product]}.fits" for product in self.arguments.products]
        results = [*products, *(path.with_suffix(".parquet") for path in products)]
        results.append(output / QUARANTINE_FILE)
        if self.arguments.restart:
            self.store.discard()
            for path in (*results, output / RUN_FILE):
                path.unlink(missing_ok=True)
        self.store.open()
        markers: dict[int, Marker | None] = {}
        for shard in range(self.plan.shards):
            markers[shard] = self.store.finished(shard)
            self.stop.check()
        pending = [shard for shard, marker in markers.items() if marker is None]
        resumed = self.plan.shards - len(pending)
        if pending:
            if resumed:
                say(f"going on: {resumed} of {self.plan.shards} shards are done")
            markers.update(self._compute(pending, [marker for marker in markers.values() if marker]))
        complete = [marker for marker in markers.values() if marker is not None]
        summary = _summary(complete, self.arguments.products)
        record = None if pending else _record_of_whole(results)
        if record is not None:
            say("this run is complete already; nothing to do (--restart does it again)")
            return replace(summary, matches=(record.get("catalog") or {}).get("rows_by_match", {}))
        self.stop.unit = "table"
        with self.times.measure("catalogues"):
            matches = self._write_catalogues(complete)
            written = {path.name: _contents(path) for path in results}
        self.stop.check()
        self._write_record(summary, resumed, matches, written)
        if self.arguments.catalog is not None:
            summary = replace(summary, matches=matches)
        return replace(summary, rate=self.times.rate, bound=self.times.bound())

    def _compute(self, pending: Sequence[int], done: Sequence[Marker]) -> dict[int, Marker]:
        arguments, plan = self.arguments, self.plan
        devices = arguments.device.split(",")
        say(
            f"{len(plan.files)} files, {len(pending)} of {plan.shards} shards to do;"
            f" engine {arguments.engine} on {arguments.device},"
            f" {arguments.precision}, recipe {arguments.recipe}"
        )
        work = [Work(shard, plan.files_of(shard)) for shard in pending]
        files_done = len(plan.files) - sum(len(shard.files) for shard in work)
        markers: dict[int, Marker] = {}
        self.stop.unit = "shard"
        with RunProgress(len(plan.files), files_done) as progress:
            count = _Count(progress, sum(marker.failures for marker in done), arguments.max_failures)
            if len(devices) > 1:
                workers = DeviceWorkers(arguments, plan.fingerprint, devices, self.times)
                workers.go(
                    work,
                    on_batch=count.add,
                    on_shard=markers.__setitem__,
                    stop=lambda: self.stop.requested,
                )
            else:
                self._compute_here(work, count, markers)
        self.stop.check()
        if len(markers) < len(pending):
            raise Stopped(
                "shards are left without a result",
                got=f"{len(markers)} of {len(pending)}",
                remedy="give the same command again to go on",
            )
        return markers

    def _compute_here(self, work: Sequence[Work], count: _Count, markers: dict[int, Marker]) -> None:
        arguments = self.arguments
        with self.times.measure("loading"):
            engine = create_engine(
                arguments.engine,
                self.checkpoint,
                self.recipe,
                device=arguments.device,
                precision=arguments.precision,
            )
            sources = None if arguments.catalog is None else SourceTable.load(arguments.catalog)
        Computer(
            arguments,
            ApogeeNet(engine),
            self.store,
            self.times,
            sources=sources,
            source=WorkList(work),
            on_batch=count.add,
            on_shard=markers.__setitem__,
            stop=lambda: self.stop.requested,
        ).go()

    def _write_catalogues(self, markers: Sequence[Marker]) -> dict[Product, dict[str, int]]:
        output, created = self.arguments.output, datetime.now(UTC)
        matches: dict[Product, dict[str, int]] = {}
        for product in self.arguments.products:
            widths: Counter[str] = Counter()
            for marker in markers:
                for name, width in marker.parts[product].widths.items():
                    widths[name] = max(widths[name], width)
            matches[product] = write_product(
                output,
                PRODUCT_NAMES[product],
                product,
                self._until_stopped(self.store.tables(product)),
                widths,
                network=self.checkpoint.network,
                recipe=self.recipe.name,
                cards=provenance_cards(self.plan, self.recipe, self.checkpoint, product),
                created=created,
            )
        with (
            written_whole(output / QUARANTINE_FILE) as part,
            pq.ParquetWriter(part, QUARANTINE_SCHEMA, compression="zstd") as writer,
        ):
            for table in self._until_stopped(self.store.tables(QUARANTINE)):
                writer.write_table(table)
        return matches

    def _until_stopped(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        for table in tables:
            self.stop.check()
            yield table
            del table  # so that one table is in memory, and not two

    def _write_record(
        self,
        summary: RunSummary,
        resumed: int,
        matches: dict[Product, dict[str, int]],
        products: dict[str, dict[str, object]],
    ) -> None:
        catalog = self.arguments.catalog
        record = run_record(
            plan=self.plan,
            checkpoint=self.checkpoint,
            catalog=None if catalog is None else {"file": printable(str(catalog)), "rows_by_match": matches},
            device=self.arguments.device,
            readers=self.arguments.readers,
            batch_size=self.arguments.batch_size,
            rows=summary.rows,
            reasons=summary.reasons,
            incomplete_photometry=summary.incomplete_photometry if self.recipe.photometry else None,
            skipped=self.skipped,
            products=products,
            resumed_shards=resumed,
            times=self.times,
            started=self.started,
            finished=datetime.now(UTC),
        )
        write_json(self.arguments.output / RUN_FILE, record)


class _Count:
    """Counts what goes through the engine, shows it, and stops a run that fails too often."""

    def __init__(self, progress: RunProgress, failures: int, most: int | None) -> None:
        self._progress, self._failures, self._most = progress, failures, most

    def add(self, done: Done) -> None:
        """Raises Stopped where more spectra have no result than may."""
        self._failures += done.failures
        if self._most is not None and self._failures > self._most:
            raise Stopped(
                "too many spectra without a result",
                got=self._failures,
                expected=f"at most {self._most} (--max-failures)",
                remedy="look at the inputs (is the disk there?), then give the same command again",
            )
        self._progress.advance(done.files, done.spectra, done.failures)


def _summary(markers: Sequence[Marker], products: Sequence[Product]) -> RunSummary:
    reasons: Counter[str] = Counter()
    for marker in markers:
        reasons.update(marker.reasons)
    rows = {product: sum(marker.parts[product].rows for marker in markers) for product in products}
    return RunSummary(rows, dict(reasons), sum(marker.incomplete_photometry for marker in markers))


def _contents(path: Path) -> dict[str, object]:
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _record_of_whole(results: Sequence[Path]) -> dict[str, Any] | None:
    """run.json beside the results of a run, if it is sound and all of them are there as it says, else None."""
    try:
        record = json.loads((results[0].parent / RUN_FILE).read_text(encoding="utf-8"))
        whole = all(record["products"][path.name] == _contents(path) for path in results)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return record if whole else None
