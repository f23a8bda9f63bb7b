"""Store the finished shards of a run: Parquet parts and, written last, the marker that vouches for them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from apnet_fast.catalog.fits import text_widths
from apnet_fast.inputs.changed_files import none_came_back
from apnet_fast.pipeline.plan import Plan
from apnet_fast.pipeline.stored import Unsound, checksum_of, read_marker, read_stored
from apnet_fast.recipes.flux import FluxCounts
from apnet_fast.spectra.batch import Product
from apnet_fast.spectra.failures import PASSING, Reason
from apnet_fast.support.attempts import remove_stale_attempts
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import sha256_of, write_json, written_whole

SHARDS_FOLDER, PLAN_FILE = "shards", "plan.json"
QUARANTINE = "quarantine"
# Failures that another attempt may not have: such a shard is done again by the same command. Of missing files their
# states tell whether they came back.
_PASSING = {str(reason) for reason in PASSING - {Reason.MISSING_FILE}}
# Enough for a Parquet row group; every group costs memory in the footer of the file.
_ROWS_OF_A_TABLE = 25_000
_SHARD_FILE = re.compile(r"(\d{6,})\.(?:json|(?:star|visit|quarantine)\.parquet)")


class DamagedPart(Exception):
    """A part is not what its marker says: it has changed, or gone, since it was written."""

    def __init__(self, shard: int, path: Path) -> None:
        super().__init__(str(path))
        self.shard, self.path = shard, path


@dataclass(frozen=True)
class Part:
    """What a marker records of one Parquet part: checksum, rows, and the longest text of each column in bytes."""

    sha256: str
    rows: int
    widths: Mapping[str, int]


@dataclass(frozen=True)
class Marker:
    """A finished shard: its run, its parts ("star", "visit", "quarantine") and its failures by reason.

    incomplete_photometry: spectra with a result that lack photometry that the network uses. flux: counts of spectra
    whose flux or scatter is implausible.
    """

    run: str
    parts: Mapping[str, Part]
    reasons: Mapping[str, int]
    incomplete_photometry: int
    flux: FluxCounts = field(default_factory=FluxCounts)

    @property
    def failures(self) -> int:
        """Spectra of this shard without a result."""
        return sum(self.reasons.values())


class ShardStore:
    """The folder `shards/` of a run: plan.json, and parts and marker of each finished shard.

    The folder may be a link, to a scratch disk for instance.
    """

    def __init__(self, output: Path, plan: Plan, products: Sequence[Product]) -> None:
        self.folder = output / SHARDS_FOLDER
        self.plan = plan
        self.products = tuple(products)

    def open(self) -> None:
        """Begin a run in this folder, or go on with it. Raises UsageError if the folder belongs to another run."""
        # Where a link points to a folder that is gone, that folder is made.
        os.makedirs(os.path.realpath(self.folder), exist_ok=True)
        if not self.begun():
            write_json(self.folder / PLAN_FILE, {**self.plan.fingerprint.as_dict(), "shards": self.plan.shards})
        remove_stale_attempts(self.folder, lambda name: is_shard_file(name, self.plan.shards))

    def begun(self) -> bool:
        """Return whether this run has begun in this folder. Raises UsageError if the folder belongs to another run."""
        path = self.folder / PLAN_FILE
        if not os.path.lexists(path):
            return False
        self.plan.fingerprint.check_same(_stored_plan(path), str(self.folder.parent))
        return True

    def write(
        self,
        shard: int,
        tables: Mapping[str, pa.Table],
        incomplete_photometry: int,
        states: Sequence[str],
        flux: FluxCounts = FluxCounts(),  # noqa: B008 - it is frozen
    ) -> Marker:
        """Store the tables of a shard ("star", "visit" as wanted, "quarantine"), then its marker.

        states: of the shard's files from before they were read, see `inputs.changed_files.state_of`.
        """
        parts = {}
        for name, table in tables.items():
            path = self._part(shard, name)
            with written_whole(path) as partial:
                pq.write_table(table, partial, compression="zstd")
                checksum = sha256_of(partial)
            widths = {} if name == QUARANTINE else text_widths(table)
            parts[name] = Part(checksum, table.num_rows, widths)
        counts = tables[QUARANTINE]["reason"].value_counts().to_pylist()
        reasons = {entry["values"]: entry["counts"] for entry in counts}
        marker = Marker(self.plan.fingerprint.digest, parts, reasons, incomplete_photometry, flux)
        content: dict[str, Any] = {**asdict(marker), "files": list(states)}
        write_json(self._marker(shard), {**content, "checksum": checksum_of(content)})
        return marker

    def finished(self, shard: int) -> Marker | None:
        """Return the marker of a shard that need not be done (again), else None.

        Its parts must be there and unchanged, files that were missing must still be, and no file must have failed for
        a passing reason. Raises UsageError for a file that has changed.
        """
        path = self._marker(shard)
        try:
            stored = read_marker(path)
        except (FileNotFoundError, Unsound):
            return None
        if stored.run != self.plan.fingerprint.digest or set(stored.parts) != {*self.products, QUARANTINE}:
            return None
        files = self.plan.files_of(shard)
        if len(stored.files) != len(files) or _PASSING & set(stored.reasons):
            return None
        parts = {str(name): Part(part.sha256, part.rows, part.widths) for name, part in stored.parts.items()}
        flux = FluxCounts(stored.flux.spectra, stored.flux.implausible, stored.flux.without_scatter)
        marker = Marker(stored.run, parts, stored.reasons, stored.incomplete_photometry, flux)
        for name, part in marker.parts.items():
            file = self._part(shard, name)
            if not file.is_file() or sha256_of(file) != part.sha256:
                return None
        return marker if none_came_back(zip(files, stored.files, strict=True), str(path)) else None

    def forget(self, shard: int) -> None:
        """Remove the marker of a shard, so that it is done again."""
        self._marker(shard).unlink(missing_ok=True)

    def tables(self, name: str, markers: Sequence[Marker]) -> Iterator[pa.Table]:
        """Yield the rows of every shard in order, many shards per table; at least one table.

        markers: of all shards. Raises DamagedPart for a part that is not what its marker says.
        """
        gathered: list[pa.Table] = []
        for shard, marker in enumerate(markers):
            gathered.append(self._checked_table(shard, name, marker.parts[name]))
            if sum(table.num_rows for table in gathered) >= _ROWS_OF_A_TABLE:
                yield pa.concat_tables(gathered)
                gathered = []
        if gathered:
            yield pa.concat_tables(gathered)

    def _checked_table(self, shard: int, name: str, part: Part) -> pa.Table:
        """Read a part once, for its checksum and for its rows."""
        path = self._part(shard, name)
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise DamagedPart(shard, path) from error
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise DamagedPart(shard, path)
        return pq.read_table(pa.BufferReader(content))

    def _part(self, shard: int, name: str) -> Path:
        return self.folder / f"{shard:06d}.{name}.parquet"

    def _marker(self, shard: int) -> Path:
        return self.folder / f"{shard:06d}.json"


def is_shard_file(name: str, shards: int) -> bool:
    """Return whether a run of so many shards keeps a file of this name in its folder of shards."""
    match = _SHARD_FILE.fullmatch(name)
    return name == PLAN_FILE or (match is not None and int(match[1]) < shards)


def _stored_plan(path: Path) -> Mapping[str, object]:
    try:
        return read_stored(path, dict[str, Any])
    except Unsound as error:
        raise UsageError(
            "the plan of the run in this output folder cannot be read",
            got=str(error).removeprefix(f"{path}: "),
            expected="a JSON object",
            remedy="give another --output, or --restart to discard what is there",
            where=str(path),
        ) from error
