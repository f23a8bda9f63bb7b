"""Say what a run would read, compute and write, how much of it and how long that takes, without writing anything.

Numbers of spectra and bytes are counted in all files if there are few, else estimated from some that are spread over
the list. The time is that of the last run on such a machine whose run.json lies in the output folder or beside it;
without one there is no estimate.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import msgspec

from apnet_fast.catalog.names import PRODUCT_NAMES, QUARANTINE_FILE, RUN_FILE
from apnet_fast.catalog.products import product_bytes
from apnet_fast.catalog.rows import record_widths
from apnet_fast.inputs.words import Inputs, resolve_inputs
from apnet_fast.networks.checkpoint import Checkpoint, load_checkpoint
from apnet_fast.pipeline.folder import check_folder
from apnet_fast.pipeline.plan import Plan, make_plan
from apnet_fast.pipeline.provenance import processor, provenance_cards
from apnet_fast.pipeline.run import left_out_lines
from apnet_fast.pipeline.settings import RunSettings
from apnet_fast.pipeline.shards import SHARDS_FOLDER, ShardStore
from apnet_fast.pipeline.stored import Unsound, read_stored
from apnet_fast.spectra import Product
from apnet_fast.spectra.pack import PACK_SUFFIX, Manifest, load_manifest
from apnet_fast.spectra.reading import read_spectra
from apnet_fast.support.progress import duration

_FILES_LOOKED_AT = 100


class StoredMachine(msgspec.Struct, frozen=True):
    """The machine in run.json."""

    processor: str
    cores: int | None = None


class StoredRate(msgspec.Struct, frozen=True):
    """Hold what an earlier run.json says about its speed."""

    fingerprint: dict[str, str | int]
    device: str
    machine: StoredMachine
    finished: str
    spectra_this_run: int
    spectra_per_second: float | None = None


@dataclass(frozen=True)
class Rate:
    """A rate that a run measured: spectra per second, the spectra it computed, when, and its run.json."""

    per_second: float
    spectra: int
    finished: str
    record: Path


@dataclass(frozen=True)
class Amount:
    """How much there is to read: bytes, and spectra of each product, in all files.

    looked_at: number of files that were counted; the rest is estimated from them. unusable: how many spectra of those
    files will have no result, by reason. widths: longest text [bytes] of each column of text in the files that were
    read; packs are not.
    """

    files: int
    looked_at: int
    bytes: int
    spectra: Mapping[Product, int]
    unusable: Mapping[str, int]
    widths: Mapping[Product, Mapping[str, int]] = field(default_factory=dict)

    @property
    def is_exact(self) -> bool:
        """Whether every file was counted."""
        return self.looked_at == self.files

    @property
    def all_spectra(self) -> int:
        """Spectra of all products."""
        return sum(self.spectra.values())


@dataclass(frozen=True)
class Forecast:
    """What a run would do.

    done: number of its shards that are stored already. files_left: files of the others. discards: whether `restart`
    would remove an earlier run. rate: None if none has been measured.
    """

    settings: RunSettings
    checkpoint: Checkpoint
    inputs: Inputs
    plan: Plan
    amount: Amount
    done: int
    files_left: int
    discards: bool
    rate: Rate | None

    @property
    def spectra_left(self) -> int:
        """Spectra of the shards that are not done, if all files have as many."""
        return round(self.amount.all_spectra * self.files_left / len(self.plan.files))

    @property
    def seconds(self) -> float | None:
        """Time for the spectra that are left, at the last measured rate."""
        return None if self.rate is None else self.spectra_left / self.rate.per_second

    def lines(self) -> list[str]:
        """Return all of it in words."""
        return [*self._reads(), *self._computes(), *self._writes(), self._takes(), "nothing was computed or written"]

    def _reads(self) -> list[str]:
        amount = self.amount
        about = "" if amount.is_exact else "about "
        products = ", ".join(f"{about}{number} {product} spectra" for product, number in amount.spectra.items())
        how = (
            "counted in all of them"
            if amount.is_exact
            else f"estimated from {amount.looked_at} of them, spread over the list"
        )
        lines = [f"reads     {amount.files} files, {about}{_size(amount.bytes)}: {products} ({how})"]
        lines += [f"          from {word}" for word in self.settings.words]
        lines += [f"          {line}" for line in left_out_lines(self.inputs)]
        if amount.unusable:
            reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(amount.unusable.items()))
            lines.append(f"          of the spectra looked at, these will have no result: {reasons}")
        return lines

    def _computes(self) -> list[str]:
        settings, checkpoint = self.settings, self.checkpoint
        state = "discarding what the output holds" if self.discards else f"{self.done} of them done already"
        return [
            f"computes  recipe {settings.recipe}, {settings.draws} draws, seed {settings.seed};"
            f" ApogeeNet {checkpoint.network}, weights sha256 {checkpoint.sha256}",
            f"          engine {settings.engine} on {settings.device}, {settings.precision};"
            f" {self.plan.shards} shards of {self.plan.shard_size} files, {state}",
        ]

    def _writes(self) -> list[str]:
        about = "" if self.amount.is_exact else "about "
        lines = [f"writes    into {self.settings.output}:"]
        for product, rows in self.amount.spectra.items():
            size = f"{'about' if self.knows_all_text else 'at least'} {_size(self.fits_bytes(product))}"
            lines.append(f"          {PRODUCT_NAMES[product]}.fits, {about}{rows} rows, {size}; and .parquet")
        return [*lines, f"          {QUARANTINE_FILE}, {RUN_FILE}, {SHARDS_FOLDER}/"]

    @property
    def knows_all_text(self) -> bool:
        """Whether all text of the catalogues was seen: that of packs, of a table and of files not looked at is not."""
        packed = any(file.endswith(PACK_SUFFIX) for file in self.plan.files)
        return self.amount.is_exact and not packed and self.settings.catalog is None

    def fits_bytes(self, product: Product) -> int:
        """Return the size of a catalogue in FITS form, with headers, as far as the text in it is known."""
        recipe = self.settings.find_recipe()
        return product_bytes(
            product,
            self.amount.spectra[product],
            self.amount.widths.get(product, {}),
            network=recipe.network,
            recipe=recipe.name,
            cards=provenance_cards(self.plan, recipe, self.checkpoint, product),
            created=datetime.now(UTC),
            medians=recipe.medians,
        )

    def _takes(self) -> str:
        if self.spectra_left == 0:
            return "takes     no time: every shard is done"
        if self.rate is None:
            return (
                f"takes     not known: no {RUN_FILE} in the output folder or beside it tells how fast this machine does"
                " this; a run over a few files measures it"
            )
        return (
            f"takes     about {duration(self.seconds or 0.0)} for {self.spectra_left} spectra at"
            f" {self.rate.per_second:.4g} spectra/s, as measured with {self.rate.spectra} spectra by {self.rate.record}"
            f" ({self.rate.finished[:10]})"
        )


def forecast(settings: RunSettings) -> Forecast:
    """Return what a run with these settings would do. Nothing is written.

    Raises what the run would raise before it begins: UsageError for inputs, weights and an output folder that cannot be
    used, WeightsError.
    """
    inputs = resolve_inputs(settings.words, str(settings.root) if settings.root else None)
    checkpoint = load_checkpoint(settings.weights)
    plan = make_plan(settings, inputs, checkpoint)
    check_folder(settings.output)
    store = ShardStore(settings.output, plan, settings.products)
    done = store.finished() if not settings.restart and store.begun() else {}
    files_left = len(plan.files) - sum(len(plan.files_of(shard)) for shard in done)
    discards = settings.restart and (settings.output / SHARDS_FOLDER).is_dir()
    amount = amount_of(plan.files, settings.products)
    rate = measured_rate(settings)
    return Forecast(settings, checkpoint, inputs, plan, amount, len(done), files_left, discards, rate)


def amount_of(files: Sequence[str], products: Sequence[Product], looked_at: int = _FILES_LOOKED_AT) -> Amount:
    """Count bytes and spectra of files of a plan; of many files, those of `looked_at` of them, times their share."""
    packed = [file for file in files if file.endswith(PACK_SUFFIX)]
    plain = [file for file in files if not file.endswith(PACK_SUFFIX)]
    size, spectra, unusable = 0, Counter[Product](dict.fromkeys(products, 0)), Counter[str]()
    for file in packed:
        entry = _manifest(os.path.dirname(file)).files[os.path.basename(file)]
        size += entry.bytes
        spectra.update({product: getattr(entry, product) for product in products})
    number = min(looked_at, len(plain))
    sample = [plain[(2 * i + 1) * len(plain) // (2 * number)] for i in range(number)]
    found, found_bytes = Counter[Product](), 0
    widths: dict[Product, dict[str, int]] = {product: {} for product in products}
    for file in sample:
        with suppress(OSError):
            found_bytes += os.stat(file).st_size
        records = read_spectra(file, products).records
        found.update(record.product for record in records)
        unusable.update(str(record.reason) for record in records if record.reason is not None)
        for product, known in widths.items():
            mine = [record for record in records if record.product == product]
            for name, width in record_widths(product, mine).items():
                known[name] = max(known.get(name, 0), width)
    factor = len(plain) / number if number else 0
    for product in products:
        spectra[product] += round(found[product] * factor)
    size += round(found_bytes * factor)
    return Amount(len(files), len(packed) + number, size, dict(spectra), dict(unusable), widths)


@lru_cache(maxsize=8)
def _manifest(folder: str) -> Manifest:
    return load_manifest(Path(folder))


def measured_rate(settings: RunSettings) -> Rate | None:
    """Return the rate of the latest run like this one whose run.json is in the output folder or beside it.

    Like this one: the same network, engine, precision, draws and devices, and a machine with the same processor and
    cores. None if there is no such run.
    """
    rates = [rate for path in _records(settings.output) if (rate := _rate_of(path, settings)) is not None]
    return max(rates, key=lambda rate: rate.finished, default=None)


def _records(output: Path) -> Iterable[Path]:
    names: list[str] = []
    with suppress(OSError):
        names = sorted(os.listdir(output.parent))
    return dict.fromkeys([output / RUN_FILE, *(output.parent / name / RUN_FILE for name in names)])


def _rate_of(path: Path, settings: RunSettings) -> Rate | None:
    try:
        stored = read_stored(path, StoredRate)
    except (OSError, Unsound):
        return None
    same = {
        "network": settings.network,
        "engine": settings.engine,
        "precision": settings.precision,
        "draws": settings.draws,
    }
    if (
        not stored.spectra_per_second
        or {name: stored.fingerprint.get(name) for name in same} != same
        or stored.device != settings.device
        or stored.machine != StoredMachine(processor(), os.cpu_count())
    ):
        return None
    return Rate(stored.spectra_per_second, stored.spectra_this_run, stored.finished, path)


def _size(number: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"
