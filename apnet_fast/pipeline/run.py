"""A run: plan, compute the shards that are missing, write the catalogues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from itertools import chain, islice

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from apnet_fast._version import __version__
from apnet_fast.api import ApogeeNet
from apnet_fast.catalog.products import write_product
from apnet_fast.catalog.rows import QUARANTINE_SCHEMA, RowTimes, catalog_rows, quarantine_rows
from apnet_fast.catalog.sources import SourceTable
from apnet_fast.engines import create_engine, find_engine
from apnet_fast.errors import Stopped
from apnet_fast.files import locked, write_json, written_whole
from apnet_fast.networks.checkpoint import Checkpoint, load_checkpoint, network_of
from apnet_fast.pipeline.arguments import RunArguments
from apnet_fast.pipeline.inputs import resolve_inputs
from apnet_fast.pipeline.plan import Plan, make_plan
from apnet_fast.pipeline.progress import RunProgress, say
from apnet_fast.pipeline.provenance import provenance_cards, run_record
from apnet_fast.pipeline.readers import Readers
from apnet_fast.pipeline.shards import QUARANTINE, Marker, ShardStore
from apnet_fast.pipeline.stopping import StopRequest
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.recipes import Labels, Recipe, get_recipe
from apnet_fast.spectra import Product, SpectrumBatch, SpectrumRecord, concatenate
from apnet_fast.spectra.identity import printable

PRODUCT_NAMES: dict[Product, str] = {
    "star": f"astraAllStarAPOGEENet-{__version__}",
    "visit": f"astraAllVisitAPOGEENet-{__version__}",
}
RUN_FILE = "run.json"
QUARANTINE_FILE = "quarantine.parquet"


@dataclass(frozen=True)
class RunSummary:
    """Rows of each product, and failures by reason, of the whole catalogue; spectra a second of this run.

    rate is None where nothing was left to compute.
    """

    rows: dict[Product, int]
    reasons: dict[str, int]
    rate: float | None = field(default=None, compare=False)

    @property
    def failures(self) -> int:
        """Spectra without a result."""
        return sum(self.reasons.values())


def run(arguments: RunArguments) -> RunSummary:
    """Do what the arguments say, or go on with it where an earlier run stopped.

    Raises UsageError (wrong arguments, weights or output folder) and Stopped (a signal, or more failures than allowed).
    """
    times = StageTimes()
    network = network_of(arguments.weights)
    recipe = get_recipe(arguments.recipe, network)
    recipe.check_draws(arguments.draws)
    devices = arguments.device.split(",")
    engines = [find_engine(arguments.engine, arguments.precision, device, network) for device in devices]
    tuning = ",".join(sorted({engine.tuning_sha256(device) for engine, device in zip(engines, devices, strict=True)}))
    with times.measure("planning"):
        inputs = resolve_inputs(arguments.words, str(arguments.root) if arguments.root else None)
    with times.measure("loading"):
        checkpoint = load_checkpoint(arguments.weights)
        arguments = replace(arguments, precision=engines[0].effective_precision(checkpoint, arguments.precision))
    plan = make_plan(arguments, inputs.files, checkpoint, tuning)
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
        return _Run(arguments, plan, recipe, checkpoint, skipped, times).go()


class _Run:
    def __init__(
        self,
        arguments: RunArguments,
        plan: Plan,
        recipe: Recipe,
        checkpoint: Checkpoint,
        skipped: dict[str, object],
        times: StageTimes,
    ) -> None:
        self.arguments, self.plan, self.recipe = arguments, plan, recipe
        self.checkpoint, self.skipped = checkpoint, skipped
        self.store = ShardStore(arguments.output, plan, arguments.products)
        self.times = times
        self.sources: SourceTable | None = None
        self.started = datetime.now(UTC)

    def go(self) -> RunSummary:
        output = self.arguments.output
        products = [output / f"{PRODUCT_NAMES[product]}.fits" for product in self.arguments.products]
        results = [*products, *(path.with_suffix(".parquet") for path in products)]
        results += [output / QUARANTINE_FILE, output / RUN_FILE]
        if self.arguments.restart:
            self.store.discard()
            for path in results:
                path.unlink(missing_ok=True)
        self.store.open()
        markers = {shard: self.store.finished(shard) for shard in range(self.plan.shards)}
        pending = [shard for shard, marker in markers.items() if marker is None]
        resumed = self.plan.shards - len(pending)
        if pending:
            if resumed:
                say(f"going on: {resumed} of {self.plan.shards} shards are done")
            markers.update(self._compute(pending, [marker for marker in markers.values() if marker]))
        complete = [marker for marker in markers.values() if marker is not None]
        summary = _summary(complete, self.arguments.products)
        if not pending and all(path.is_file() for path in results):
            say("this run is complete already; nothing to do (--restart does it again)")
            return summary
        with self.times.measure("catalogues"):
            matches = self._write_catalogues(complete)
        self._write_record(summary, resumed, matches)
        return replace(summary, rate=self.times.rate)

    def _compute(self, pending: Sequence[int], done: Sequence[Marker]) -> dict[int, Marker]:
        arguments, plan = self.arguments, self.plan
        with self.times.measure("loading"):
            engine = create_engine(
                arguments.engine,
                self.checkpoint,
                self.recipe,
                device=arguments.device,
                precision=arguments.precision,
            )
            if arguments.catalog is not None:
                self.sources = SourceTable.load(arguments.catalog)
        say(
            f"{len(plan.files)} files, {len(pending)} of {plan.shards} shards to do;"
            f" engine {arguments.engine} on {arguments.device},"
            f" {engine.precision}, recipe {arguments.recipe}"
        )
        net = ApogeeNet(engine)
        failures = sum(marker.failures for marker in done)
        files = chain.from_iterable(plan.files_of(shard) for shard in pending)
        waiting = sum(len(plan.files_of(shard)) for shard in pending)
        markers = {}
        with (
            StopRequest() as stop,
            Readers(arguments.readers, arguments.products) as readers,
            RunProgress(len(plan.files), len(plan.files) - waiting) as progress,
        ):
            stream = readers.read(files)
            for shard in pending:
                tables = self._compute_shard(net, islice(stream, len(plan.files_of(shard))), progress, failures)
                failures += tables[QUARANTINE].num_rows
                with self.times.measure("writing"):
                    markers[shard] = self.store.write(shard, tables)
                if shard != pending[-1]:
                    stop.check()
        return markers

    def _check_failures(self, failures: int) -> None:
        most = self.arguments.max_failures
        if most is not None and failures > most:
            raise Stopped(
                "too many spectra without a result",
                got=failures,
                expected=f"at most {most} (--max-failures)",
                remedy="look at the inputs (is the disk there?), then give the same command again",
            )

    def _compute_shard(
        self, net: ApogeeNet, files: Iterator[SpectrumBatch], progress: RunProgress, failures: int
    ) -> dict[str, pa.Table]:
        records: list[SpectrumRecord] = []
        labels: list[Labels] = []
        elapsed: list[NDArray[np.float32]] = []
        for number_of_files, batch in self._batches(files):
            failures += len(batch) - int(batch.usable.sum())
            self._check_failures(failures)
            with self.times.measure("engine") as timer:
                labels.append(
                    net.labels(
                        batch.flux,
                        batch.error,
                        [record.identity for record in batch.records],
                        draws=self.arguments.draws,
                        seed=self.arguments.seed,
                        usable=batch.usable,
                    )
                )
            usable = int(batch.usable.sum())
            elapsed.append(np.where(batch.usable, timer.seconds / max(usable, 1), 0).astype(np.float32))
            records.extend(batch.records)
            self.times.spectra += len(batch)
            progress.advance(number_of_files, len(batch), len(batch) - usable)
        with self.times.measure("writing"):
            times = RowTimes(datetime.now(UTC), np.concatenate(elapsed))
            joined = _joined(labels)
            tables: dict[str, pa.Table] = {QUARANTINE: quarantine_rows(records)}
            for product in self.arguments.products:
                tables[product] = catalog_rows(product, records, joined, times, self.sources, self.checkpoint.network)
            return tables

    def _batches(self, files: Iterator[SpectrumBatch]) -> Iterator[tuple[int, SpectrumBatch]]:
        """Batches of at least `batch_size` spectra (the last may be smaller) and the files each is of."""
        gathered: list[SpectrumBatch] = []
        while True:
            with self.times.measure("reading"):
                file = next(files, None)
            if file is not None:
                gathered.append(file)
            spectra = sum(len(batch) for batch in gathered)
            if gathered and (file is None or spectra >= self.arguments.batch_size):
                yield len(gathered), concatenate(gathered)
                gathered = []
            if file is None:
                return

    def _write_catalogues(self, markers: Sequence[Marker]) -> dict[Product, dict[str, int]]:
        """Write all products and the quarantine; what --catalog knew of each product's rows."""
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
                self.store.tables(product),
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
            for table in self.store.tables(QUARANTINE):
                writer.write_table(table)
        return matches

    def _write_record(self, summary: RunSummary, resumed: int, matches: dict[Product, dict[str, int]]) -> None:
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
            skipped=self.skipped,
            resumed_shards=resumed,
            times=self.times,
            started=self.started,
            finished=datetime.now(UTC),
        )
        write_json(self.arguments.output / RUN_FILE, record)


def _joined(parts: Sequence[Labels]) -> Labels:
    return Labels(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Labels)}
    )


def _summary(markers: Sequence[Marker], products: Sequence[Product]) -> RunSummary:
    reasons: Counter[str] = Counter()
    for marker in markers:
        reasons.update(marker.reasons)
    rows = {product: sum(marker.parts[product].rows for marker in markers) for product in products}
    return RunSummary(rows, dict(reasons))
