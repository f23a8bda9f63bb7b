"""The files that a run leaves beside its shards: catalogues, quarantine and run.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from apnet_fast._version import __version__
from apnet_fast.catalog.cards import Card
from apnet_fast.catalog.names import PRODUCT_NAMES, QUARANTINE_FILE, RUN_FILE
from apnet_fast.catalog.products import write_product
from apnet_fast.catalog.rows import QUARANTINE_SCHEMA
from apnet_fast.pipeline.folder import result_names
from apnet_fast.pipeline.shards import QUARANTINE, Marker, ShardStore
from apnet_fast.pipeline.stored import StoredRecord, Unsound, read_stored
from apnet_fast.recipes import Recipe
from apnet_fast.spectra import Product
from apnet_fast.support.files import sha256_of, written_whole
from apnet_fast.support.regular_files import UnfitFile


@dataclass(frozen=True)
class Results:
    """The result files of a run in its output folder."""

    folder: Path
    products: tuple[Product, ...]

    @property
    def paths(self) -> list[Path]:
        """Every catalogue, as FITS and as Parquet, and the quarantine."""
        return [self.folder / name for name in result_names(self.products, __version__)]

    @property
    def record(self) -> Path:
        """Path of run.json."""
        return self.folder / RUN_FILE

    def contents(self) -> dict[str, dict[str, object]]:
        """Return size and checksum of each file, by name."""
        return {path.name: _contents(path) for path in self.paths}

    def record_of_whole(self) -> StoredRecord | None:
        """Return run.json if it is sound and lists every file as it is, else None."""
        try:
            record = read_stored(self.record, StoredRecord)
            listed = {name: {"bytes": file.bytes, "sha256": file.sha256} for name, file in record.products.items()}
            whole = all(listed.get(path.name) == _contents(path) for path in self.paths)
        except (FileNotFoundError, Unsound, UnfitFile):
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

        markers: of all shards, in order. cards: provenance of a product. Returns the rows of each product by
        `source_match`. Raises DamagedPart for a part that has changed since it was written.
        """
        matches: dict[Product, dict[str, int]] = {}
        for product in self.products:
            matches[product] = write_product(
                self.folder,
                PRODUCT_NAMES[product],
                product,
                _checked(store.tables(product, markers), check),
                _widths(markers, product),
                network=recipe.network,
                recipe=recipe.name,
                cards=cards(product),
                created=created,
                medians=recipe.medians,
            )
        with (
            written_whole(self.folder / QUARANTINE_FILE) as part,
            pq.ParquetWriter(part, QUARANTINE_SCHEMA, compression="zstd") as writer,
        ):
            for table in _checked(store.tables(QUARANTINE, markers), check):
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
