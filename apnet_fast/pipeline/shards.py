"""Store the finished shards of a run: each a folder of Parquet parts and the marker that vouches for them."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from apnet_fast.catalog.fits import text_widths
from apnet_fast.inputs.changed_files import none_came_back
from apnet_fast.pipeline.plan import ANY_INSTRUCTIONS, Plan
from apnet_fast.pipeline.stored import StoredMarker, Unsound, checksum_of, read_marker, read_stored
from apnet_fast.recipes.flux import FluxCounts
from apnet_fast.spectra.batch import Product
from apnet_fast.spectra.failures import PASSING, Reason
from apnet_fast.support.attempts import is_left_by_nfs, name_of_attempt, remove_stale_attempts
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import folder_written_whole, sha256_of, write_json
from apnet_fast.support.regular_files import UnfitFile, regular_bytes

SHARDS_FOLDER, PLAN_FILE, MARKER_FILE = "shards", "plan.json", "marker.json"
QUARANTINE = "quarantine"
# Layout of the folder. In the first the parts of all shards lay beside each other.
LAYOUT = 2
# Files in the folder of a shard.
SHARD_FILES = (MARKER_FILE, "star.parquet", "visit.parquet", f"{QUARANTINE}.parquet")
# Failures that another attempt may not have: such a shard is done again by the same command. The states of missing and
# useless files show whether there is anything new.
_PASSING = {str(reason) for reason in PASSING - {Reason.MISSING_FILE}}
# Enough for a Parquet row group; every group costs memory in the footer of the file.
_ROWS_OF_A_TABLE = 25_000
_THREADS = 16
_MOST_TRIES = 5
# As `f"{shard:06d}"` gives them.
_SHARD_NAME = re.compile(r"([0-9]{6}|[1-9][0-9]{6,})")
_OLD_NAME = re.compile(r"([0-9]{6}|[1-9][0-9]{6,})\.(?:json|(?:star|visit|quarantine)\.parquet)")


class DamagedPart(Exception):
    """A part is not what its marker says: it has changed, or gone, since it was written."""

    def __init__(self, shard: int, path: Path) -> None:
        super().__init__(str(path))
        self.shard, self.path = shard, path


@dataclass(frozen=True)
class Part:
    """What a marker records of one Parquet part: checksum, size, rows, and the longest text of each column in bytes."""

    sha256: str
    bytes: int
    rows: int
    widths: Mapping[str, int]


@dataclass(frozen=True)
class Marker:
    """A finished shard: its run, its parts ("star", "visit", "quarantine") and its failures by reason.

    incomplete_photometry: spectra with a result that lack photometry that the network uses. flux: counts of spectra
    whose flux or scatter is implausible. worthless: spectra whose labels mean nothing, under weights for simulated
    spectra only. instructions: the instruction set that the CPU engine used for it.
    """

    run: str
    parts: Mapping[str, Part]
    reasons: Mapping[str, int]
    incomplete_photometry: int
    flux: FluxCounts = field(default_factory=FluxCounts)
    worthless: int = 0
    instructions: str = ""

    @property
    def failures(self) -> int:
        """Spectra of this shard without a result."""
        return sum(self.reasons.values())


class ShardStore:
    """The folder `shards/` of a run: plan.json, and a folder for each finished shard, `000123/`, with parts and marker.

    A shard is written to a folder of its writer's own and renamed whole. If there are two writers, the first counts.
    The folder `shards/` may be a link, to a scratch disk for instance.

    instructions: the instruction set of the engine whose shards are written, see `engines.instruction_set`.
    """

    def __init__(self, output: Path, plan: Plan, products: Sequence[Product], instructions: str = "") -> None:
        self.folder = output / SHARDS_FOLDER
        self.plan = plan
        self.products = tuple(products)
        self.instructions = instructions

    def open(self) -> None:
        """Begin a run in this folder, or go on with it. Raises UsageError if the folder belongs to another run."""
        # If a link points to a folder that is gone, that folder is made.
        os.makedirs(os.path.realpath(self.folder), exist_ok=True)
        if not self.begun():
            content = {**self.plan.fingerprint.as_dict(), "layout": LAYOUT, "shards": self.plan.shards}
            write_json(self.folder / PLAN_FILE, content)
        remove_stale_attempts(self.folder, lambda name: is_shard_file(name, self.plan.shards))

    def begun(self) -> bool:
        """Return whether this run has begun in this folder. Raises UsageError if the folder belongs to another run."""
        path = self.folder / PLAN_FILE
        if not os.path.lexists(path):
            return False
        stored = _stored_plan(path)
        if stored.get("layout", 1) != LAYOUT:
            raise UsageError(
                "the output folder belongs to another run, of another version of apnet_fast",
                got=f"shards in layout {stored.get('layout', 1)}",
                expected=f"layout {LAYOUT}",
                remedy="give another --output, or --restart to discard what is there",
                where=str(self.folder.parent),
            )
        self.plan.fingerprint.check_same(stored, str(self.folder.parent))
        return True

    def write(
        self,
        shard: int,
        tables: Mapping[str, pa.Table],
        incomplete_photometry: int,
        states: Sequence[str],
        flux: FluxCounts = FluxCounts(),  # noqa: B008 - it is frozen
        worthless: int = 0,
    ) -> Marker:
        """Store the tables of a shard ("star", "visit" as wanted, "quarantine") and its marker.

        states: of the shard's files from before they were read, see `inputs.changed_files`. The counts are those of
        `Marker`. Returns the marker that counts: another writer's if that one was first.
        """
        for _ in range(_MOST_TRIES):
            try:
                with folder_written_whole(self._path(shard)) as attempt:
                    parts = {name: _written(table, attempt, name) for name, table in tables.items()}
                    marker = Marker(
                        self.plan.fingerprint.digest,
                        parts,
                        _reasons(tables[QUARANTINE]),
                        incomplete_photometry,
                        flux,
                        worthless,
                        self.instructions,
                    )
                    content: dict[str, Any] = {**asdict(marker), "files": list(states)}
                    write_json(attempt / MARKER_FILE, {**content, "checksum": checksum_of(content)})
            except (FileExistsError, NotADirectoryError):
                stored = self._sound(shard)
                if stored is not None:
                    return _as_marker(stored)
                self.begun()  # it may be another run's folder by now: this process was given up, and has woken up
                self.forget(shard)
            else:
                return marker
        raise OSError(errno.EEXIST, "another program writes there again and again", str(self._path(shard)))

    def finished(self, check: Callable[[], None] = lambda: None) -> dict[int, Marker]:
        """Return the markers of the shards that need not be done (again).

        The parts of such a shard must be there and of their sizes, files that were missing or useless must still be as
        they were, and no file must have failed for a passing reason. The checksums of parts are compared when they are
        read. check: called now and then; it may stop the search by raising.

        Raises UsageError for a file that has changed.
        """
        found = {}
        listed = sorted(filter(None, map(self._number, os.scandir(self.folder))))
        # Over a network the time goes into waiting for answers.
        with ThreadPoolExecutor(_THREADS) as threads:
            try:
                for shard, marker in zip(listed, threads.map(self._finished, listed), strict=True):
                    check()
                    if marker is not None:
                        found[int(shard)] = marker
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise
        return found

    def _number(self, entry: os.DirEntry[str]) -> str | None:
        match = _SHARD_NAME.fullmatch(entry.name)
        return entry.name if match and int(match[1]) < self.plan.shards else None

    def _finished(self, name: str) -> Marker | None:
        shard = int(name)
        stored = self._sound(shard)
        files = self.plan.files_of(shard)
        if stored is None or len(stored.files) != len(files) or _PASSING & set(stored.reasons):
            return None
        came_back = not none_came_back(zip(files, stored.files, strict=True), str(self._path(shard)))
        return None if came_back else _as_marker(stored)

    def _sound(self, shard: int) -> StoredMarker | None:
        """Return the marker of a shard of this run whose parts are there and of their sizes, else None."""
        path = self._path(shard)
        try:
            stored = read_marker(path / MARKER_FILE)
            sizes = {entry.name: entry.stat().st_size for entry in os.scandir(path)}
        except (FileNotFoundError, NotADirectoryError, Unsound):
            return None
        fits = (
            stored.run == self.plan.fingerprint.digest
            and self.plan.fingerprint.instructions in (ANY_INSTRUCTIONS, stored.instructions)
            and set(stored.parts) == {*self.products, QUARANTINE}
            and all(sizes.get(f"{name}.parquet") == part.bytes for name, part in stored.parts.items())
        )
        return stored if fits else None

    def forget(self, shard: int) -> None:
        """Remove a shard, if it is there, so that it is done again.

        Raises UsageError if its folder holds files that no run wrote.
        """
        path = self._path(shard)
        if not os.path.lexists(path):
            return
        remove_shard(path)
        foreign = foreign_files(path)
        if foreign:
            raise UsageError(
                "a shard has to be done again, and its folder holds files that no run of apnet_fast wrote",
                got=", ".join(foreign[:5]),
                remedy="move them away, then give the same command again",
                where=str(path),
            )

    def tables(self, name: str, markers: Sequence[Marker]) -> Iterator[pa.Table]:
        """Yield the rows of every shard in order, many shards per table; at least one table.

        markers: of all shards. Raises DamagedPart for a part that is not what its marker says.
        """
        gathered: list[pa.Table] = []
        for shard, marker in enumerate(markers):
            gathered.append(self._checked_table(shard, name, marker))
            if sum(table.num_rows for table in gathered) >= _ROWS_OF_A_TABLE:
                yield pa.concat_tables(gathered).combine_chunks()
                gathered = []
        if gathered:
            yield pa.concat_tables(gathered).combine_chunks()

    def _checked_table(self, shard: int, name: str, marker: Marker) -> pa.Table:
        """Read a part once, for its checksum and for its rows, which must be those that the marker counts."""
        part = marker.parts[name]
        path = self._path(shard) / f"{name}.parquet"
        try:
            content = regular_bytes(path, part.bytes)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, UnfitFile) as error:
            raise DamagedPart(shard, path) from error
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise DamagedPart(shard, path)
        # Threads cost more than they save on small parts.
        table = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
        counted = table.num_rows == part.rows and _widths(table, name) == part.widths
        if not counted or (name == QUARANTINE and _reasons(table) != marker.reasons):
            raise DamagedPart(shard, path)
        return table

    def _path(self, shard: int) -> Path:
        return self.folder / f"{shard:06d}"


def _written(table: pa.Table, folder: Path, name: str) -> Part:
    path = folder / f"{name}.parquet"
    pq.write_table(table, path, compression="zstd")
    return Part(sha256_of(path), path.stat().st_size, table.num_rows, _widths(table, name))


def _widths(table: pa.Table, name: str) -> dict[str, int]:
    return {} if name == QUARANTINE else text_widths(table)


def _reasons(quarantine: pa.Table) -> dict[str, int]:
    """Return the number of failures by reason."""
    return {entry["values"]: entry["counts"] for entry in quarantine["reason"].value_counts().to_pylist()}


def _as_marker(stored: StoredMarker) -> Marker:
    parts = {str(name): Part(part.sha256, part.bytes, part.rows, part.widths) for name, part in stored.parts.items()}
    flux = FluxCounts(stored.flux.spectra, stored.flux.implausible, stored.flux.without_scatter)
    return Marker(
        stored.run, parts, stored.reasons, stored.incomplete_photometry, flux, stored.worthless, stored.instructions
    )


def is_shard_file(name: str, shards: int, layout: int = LAYOUT) -> bool:
    """Return whether a run of `shards` shards keeps a file or folder of this name in its folder of shards."""
    match = (_OLD_NAME if layout == 1 else _SHARD_NAME).fullmatch(name)
    return name == PLAN_FILE or (match is not None and int(match[1]) < shards)


def remove_shard(path: Path) -> None:
    """Remove the folder of a shard with all that a run keeps in it, or a file of that name. The user's files stay."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    # The marker goes first, so that a kill leaves no shard that seems whole.
    for name in sorted(_inner_names(path), key=lambda name: name != MARKER_FILE):
        if _is_ours(name):
            (path / name).unlink(missing_ok=True)
    with suppress(OSError):
        path.rmdir()


def foreign_files(path: Path) -> list[str]:
    """Return the names in the folder of a shard that no run gives to its files."""
    return [name for name in _inner_names(path) if not _is_ours(name)]


def _inner_names(path: Path) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_ours(name: str) -> bool:
    return (name_of_attempt(name) or name) in SHARD_FILES or is_left_by_nfs(name)


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
