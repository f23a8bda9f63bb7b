"""Finished pieces of a run on disk: Parquet parts and, last, the marker that vouches for them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from apnet_fast.catalog.columns import COLUMNS
from apnet_fast.catalog.fits import text_widths
from apnet_fast.networks.checkpoint import sha256_of
from apnet_fast.pipeline.files import PARTIAL, write_json, written_whole
from apnet_fast.pipeline.plan import Plan
from apnet_fast.spectra.batch import Product

QUARANTINE = "quarantine"


@dataclass(frozen=True)
class Part:
    """What a marker says of one Parquet part: its checksum, its rows and its longest texts in bytes."""

    sha256: str
    rows: int
    widths: Mapping[str, int]


@dataclass(frozen=True)
class Marker:
    """A finished shard: its parts by name ("star", "visit", "quarantine") and its failures by reason."""

    parts: Mapping[str, Part]
    reasons: Mapping[str, int]

    @property
    def failures(self) -> int:
        """Spectra of this shard without a result."""
        return sum(self.reasons.values())


class ShardStore:
    """The folder `shards/` of a run: plan.json, and parts and marker of each finished shard."""

    def __init__(self, output: Path, plan: Plan, products: Sequence[Product]) -> None:
        self.folder = output / "shards"
        self.plan = plan
        self.products = tuple(products)

    def open(self) -> None:
        """Begin a run in this folder, or go on with the same one; UsageError if it belongs to another."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "plan.json"
        if path.is_file():
            stored = json.loads(path.read_text(encoding="utf-8"))
            self.plan.fingerprint.check_same(stored, str(self.folder.parent))
        else:
            write_json(path, self.plan.fingerprint.as_dict())
        for leftover in self.folder.glob(f"*{PARTIAL}"):
            leftover.unlink()

    def discard(self) -> None:
        """Remove everything the folder holds."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def write(self, shard: int, tables: Mapping[str, pa.Table]) -> Marker:
        """Store the tables of a shard ("star", "visit" as wanted, "quarantine"); the marker comes last."""
        parts = {}
        for name, table in tables.items():
            path = self._part(shard, name)
            with written_whole(path) as partial:
                pq.write_table(table, partial, compression="zstd")
            widths = {} if name == QUARANTINE else text_widths(table, COLUMNS[cast(Product, name)])
            parts[name] = Part(sha256_of(path), table.num_rows, widths)
        counts = tables[QUARANTINE]["reason"].value_counts().to_pylist()
        marker = Marker(parts, {entry["values"]: entry["counts"] for entry in counts})
        write_json(self._marker(shard), asdict(marker))
        return marker

    def finished(self, shard: int) -> Marker | None:
        """The marker of a shard whose parts are all there and unchanged, else None: it must be done (again)."""
        path = self._marker(shard)
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            marker = Marker({name: Part(**part) for name, part in stored["parts"].items()}, stored["reasons"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        if set(marker.parts) != {*self.products, QUARANTINE}:
            return None
        for name, part in marker.parts.items():
            file = self._part(shard, name)
            if not file.is_file() or sha256_of(file) != part.sha256:
                return None
        return marker

    def tables(self, name: str) -> Iterator[pa.Table]:
        """Rows of every shard in order, one table a shard."""
        for shard in range(self.plan.shards):
            yield pq.read_table(self._part(shard, name))

    def _part(self, shard: int, name: str) -> Path:
        return self.folder / f"{shard:06d}.{name}.parquet"

    def _marker(self, shard: int) -> Path:
        return self.folder / f"{shard:06d}.json"
