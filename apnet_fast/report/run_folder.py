"""Read what a run left in its folder, as far as it exists."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from apnet_fast.catalog.names import PRODUCT_STEMS, QUARANTINE_FILE, RUN_FILE
from apnet_fast.catalog.reading import catalogue_cards
from apnet_fast.recipes.flag_tables import FlagTable, known_table
from apnet_fast.spectra.batch import Product
from apnet_fast.support.errors import UsageError
from apnet_fast.support.regular_files import MEBIBYTE, check_regular, regular_text

_MOST_BYTES_OF_RECORD = 256 * MEBIBYTE


@dataclass(frozen=True)
class Catalogue:
    """One product: its file, and its numbers of rows, of rows with labels, flag_warn, flag_bad, and each bit.

    flag_table: the table of its bits, None if the catalogue names none that this package knows.
    """

    product: Product
    path: Path
    rows: int
    with_labels: int
    warn: int
    bad: int
    bits: dict[int, int]
    flag_table: FlagTable | None


@dataclass(frozen=True)
class Quarantine:
    """Number of failures by (product, reason), and examples as (product, path, row, reason, text)."""

    reasons: dict[tuple[str, str], int]
    examples: list[tuple[str, str, int, str, str]]


@dataclass(frozen=True)
class RunFolder:
    """A run: the content of run.json, the catalogues that exist, and the quarantine (None if there is no file)."""

    folder: Path
    record: dict[str, Any]
    catalogues: list[Catalogue]
    quarantine: Quarantine | None

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """What the labels depend on: recipe, draws, seed, ...; empty if it was not recorded."""
        value = self.record.get("fingerprint")
        return value if isinstance(value, Mapping) else {}

    @property
    def started(self) -> datetime | None:
        """When the run began, if one command did all of it."""
        if self.record.get("resumed_shards"):
            return None
        try:
            time = datetime.fromisoformat(str(self.record.get("started")))
        except ValueError:
            return None
        return time if time.tzinfo else time.replace(tzinfo=UTC)


def read_run(folder: Path, examples: int = 20) -> RunFolder:
    """Read the folder of a finished run. Raises UsageError if it holds none."""
    path = folder / RUN_FILE
    try:
        record = json.loads(regular_text(path, _MOST_BYTES_OF_RECORD))
    except FileNotFoundError as error:
        raise UsageError(
            "no finished run in this folder",
            got=str(folder),
            expected=f"a folder with {RUN_FILE}",
            remedy="give the --output of `reprocess`; finish a stopped run first",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"cannot read the record of the run: {error}", where=str(path)) from error
    if not isinstance(record, dict):
        raise UsageError("not the record of a run", got=type(record).__name__, expected="an object", where=str(path))
    catalogues = [_read_catalogue(product, file) for product, file in catalogue_files(folder).items()]
    quarantine = folder / QUARANTINE_FILE
    return RunFolder(
        folder, record, catalogues, _read_quarantine(quarantine, examples) if quarantine.exists() else None
    )


def catalogue_files(folder: Path, suffix: str = "parquet") -> dict[Product, Path]:
    """Return the catalogues of a folder; of several versions the newest, which run.json is about."""
    files: dict[Product, Path] = {}
    for product, stem in PRODUCT_STEMS.items():
        if found := sorted(folder.glob(f"{stem}-*.{suffix}"), key=lambda file: file.stat().st_mtime):
            files[product] = found[-1]
    return files


def _read_catalogue(product: Product, path: Path) -> Catalogue:
    rows = labels = warn = bad = 0
    bits: Counter[int] = Counter()
    try:
        check_regular(path)
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["teff", "result_flags", "flag_warn", "flag_bad"]):
                rows += batch.num_rows
                labels += int(np.isfinite(batch["teff"].to_numpy()).sum())
                warn, bad = warn + _true(batch["flag_warn"]), bad + _true(batch["flag_bad"])
                values, counts = np.unique(batch["result_flags"].to_numpy(), return_counts=True)
                for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                    bits.update({bit: count for bit in range(63) if value >> bit & 1})
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"cannot read the catalogue: {error}", where=str(path)) from error
    table = known_table(catalogue_cards(path).get("FLAGTAB", ""))
    return Catalogue(product, path, rows, labels, warn, bad, dict(bits), table)


def _true(column: pa.Array) -> int:
    return pc.sum(column).as_py() or 0


def _read_quarantine(path: Path, examples: int) -> Quarantine:
    try:
        check_regular(path)
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"cannot read the list of failures: {error}", where=str(path)) from error
    reasons = Counter(zip(table["product"].to_pylist(), table["reason"].to_pylist(), strict=True))
    some = [
        (row["product"], row["path"], row["row"], row["reason"], row["text"])
        for row in table.slice(0, examples).to_pylist()
    ]
    return Quarantine(dict(sorted(reasons.items())), some)
