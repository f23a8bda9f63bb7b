"""Store the finished shards of a run: Parquet parts and, written last, the marker that vouches for them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from apnet_fast.catalog.fits import text_widths
from apnet_fast.inputs.changed_files import none_came_back
from apnet_fast.pipeline.plan import Plan
from apnet_fast.spectra.batch import Product
from apnet_fast.support.attempts import PARTIAL
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import sha256_of, write_json, written_whole

QUARANTINE = "quarantine"
# Enough for a Parquet row group; every group costs memory in the footer of the file.
_ROWS_OF_A_TABLE = 25_000


@dataclass(frozen=True)
class Part:
    """What a marker records of one Parquet part: checksum, rows, and the longest text of each column in bytes."""

    sha256: str
    rows: int
    widths: Mapping[str, int]


@dataclass(frozen=True)
class Marker:
    """A finished shard: its run, its parts ("star", "visit", "quarantine") and its failures by reason.

    incomplete_photometry: spectra with a result that lack photometry that the network uses.
    """

    run: str
    parts: Mapping[str, Part]
    reasons: Mapping[str, int]
    incomplete_photometry: int

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
        """Begin a run in this folder, or go on with it. Raises UsageError if the folder belongs to another run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "plan.json"
        if path.is_file():
            self.plan.fingerprint.check_same(_stored_plan(path), str(self.folder.parent))
        else:
            write_json(path, self.plan.fingerprint.as_dict())
        for leftover in self.folder.glob(f"*{PARTIAL}"):
            leftover.unlink()

    def discard(self) -> None:
        """Remove all that the folder holds. A kill at any moment leaves no half of a run behind."""
        doomed = self.folder.with_name("shards.discarded")
        shutil.rmtree(doomed, ignore_errors=True)
        if self.folder.exists():
            os.replace(self.folder, doomed)
            shutil.rmtree(doomed)

    def write(
        self, shard: int, tables: Mapping[str, pa.Table], incomplete_photometry: int, states: Sequence[str]
    ) -> Marker:
        """Store the tables of a shard ("star", "visit" as wanted, "quarantine"), then its marker.

        states: of the shard's files from before they were read, see `inputs.changed_files.state_of`.
        """
        parts = {}
        for name, table in tables.items():
            path = self._part(shard, name)
            with written_whole(path) as partial:
                pq.write_table(table, partial, compression="zstd")
            widths = {} if name == QUARANTINE else text_widths(table)
            parts[name] = Part(sha256_of(path), table.num_rows, widths)
        counts = tables[QUARANTINE]["reason"].value_counts().to_pylist()
        reasons = {entry["values"]: entry["counts"] for entry in counts}
        marker = Marker(self.plan.fingerprint.digest, parts, reasons, incomplete_photometry)
        content = {**asdict(marker), "files": list(states)}
        write_json(self._marker(shard), {**content, "checksum": _checksum(content)})
        return marker

    def finished(self, shard: int) -> Marker | None:
        """Return the marker of a shard that need not be done (again), else None.

        Its parts must be there and unchanged, and files that were missing must still be. Raises UsageError for a file
        that has changed.
        """
        path = self._marker(shard)
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            if stored.pop("checksum") != _checksum(stored):
                return None
            states = stored["files"]
            parts = {name: Part(**part) for name, part in stored["parts"].items()}
            marker = Marker(stored["run"], parts, stored["reasons"], int(stored["incomplete_photometry"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None
        if marker.run != self.plan.fingerprint.digest or set(marker.parts) != {*self.products, QUARANTINE}:
            return None
        for name, part in marker.parts.items():
            file = self._part(shard, name)
            if not file.is_file() or sha256_of(file) != part.sha256:
                return None
        files = zip(self.plan.files_of(shard), states, strict=True)
        return marker if none_came_back(files, str(path)) else None

    def tables(self, name: str) -> Iterator[pa.Table]:
        """Yield the rows of every shard in order, many shards per table; at least one table."""
        gathered: list[pa.Table] = []
        for shard in range(self.plan.shards):
            gathered.append(pq.read_table(self._part(shard, name)))
            if sum(table.num_rows for table in gathered) >= _ROWS_OF_A_TABLE:
                yield pa.concat_tables(gathered)
                gathered = []
        if gathered:
            yield pa.concat_tables(gathered)

    def _part(self, shard: int, name: str) -> Path:
        return self.folder / f"{shard:06d}.{name}.parquet"

    def _marker(self, shard: int) -> Path:
        return self.folder / f"{shard:06d}.json"


def _checksum(content: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _stored_plan(path: Path) -> Mapping[str, object]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        stored = None
    if not isinstance(stored, dict):
        raise UsageError(
            "the plan of the run in this output folder cannot be read",
            expected="a JSON object",
            remedy="give another --output, or --restart to discard what is there",
            where=str(path),
        )
    return stored
