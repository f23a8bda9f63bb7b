"""The files that a run leaves beside its shards: catalogues, quarantine and run.json."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from apnet_fast.catalog.cards import Card
from apnet_fast.catalog.names import PRODUCT_NAMES, QUARANTINE_FILE, RUN_FILE
from apnet_fast.catalog.products import write_product
from apnet_fast.catalog.rows import QUARANTINE_SCHEMA
from apnet_fast.pipeline.shards import QUARANTINE, Marker, ShardStore
from apnet_fast.recipes import Recipe
from apnet_fast.spectra import Product
from apnet_fast.support.files import sha256_of, written_whole


@dataclass(frozen=True)
class Results:
    """The result files of a run in its output folder."""

    folder: Path
    products: tuple[Product, ...]

    @property
    def paths(self) -> list[Path]:
        """Every catalogue, as FITS and as Parquet, and the quarantine."""
        fits = [self.folder / f"{PRODUCT_NAMES[product]}.fits" for product in self.products]
        return [*fits, *(path.with_suffix(".parquet") for path in fits), self.folder / QUARANTINE_FILE]

    @property
    def record(self) -> Path:
        """Path of run.json."""
        return self.folder / RUN_FILE

    def remove(self) -> None:
        """Remove all of them."""
        for path in (*self.paths, self.record):
            path.unlink(missing_ok=True)

    def contents(self) -> dict[str, dict[str, object]]:
        """Return size and checksum of each file, by name."""
        return {path.name: _contents(path) for path in self.paths}

    def record_of_whole(self) -> dict[str, Any] | None:
        """Return run.json if it is sound and every file is as it says, else None."""
        try:
            record = json.loads(self.record.read_text(encoding="utf-8"))
            whole = all(record["products"][path.name] == _contents(path) for path in self.paths)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return record if whole else None

    def write(
        self,
        store: ShardStore,
        markers: Sequence[Marker],
        recipe: Recipe,
        cards: Callable[[Product], Sequence[Card]],
        created: datetime,
        check: Callable[[], None],
    ) -> dict[Product, dict[str, int]]:
        """Join the parts of all shards into the catalogues and the quarantine; `check` may stop it by raising.

        cards: provenance of a product. Returns the rows of each product by `source_match`.
        """
        matches: dict[Product, dict[str, int]] = {}
        for product in self.products:
            matches[product] = write_product(
                self.folder,
                PRODUCT_NAMES[product],
                product,
                _checked(store.tables(product), check),
                _widths(markers, product),
                network=recipe.network,
                recipe=recipe.name,
                cards=cards(product),
                created=created,
            )
        with (
            written_whole(self.folder / QUARANTINE_FILE) as part,
            pq.ParquetWriter(part, QUARANTINE_SCHEMA, compression="zstd") as writer,
        ):
            for table in _checked(store.tables(QUARANTINE), check):
                writer.write_table(table)
        return matches


def _widths(markers: Sequence[Marker], product: Product) -> dict[str, int]:
    """Return the longest text of each text column in all shards."""
    widths: Counter[str] = Counter()
    for marker in markers:
        for name, width in marker.parts[product].widths.items():
            widths[name] = max(widths[name], width)
    return widths


def _checked(tables: Iterable[pa.Table], check: Callable[[], None]) -> Iterator[pa.Table]:
    for table in tables:
        check()
        yield table
        del table  # so that one table is in memory, and not two


def _contents(path: Path) -> dict[str, object]:
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
