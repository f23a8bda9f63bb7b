"""Define the format of a pack: the spectra of many files in a few Arrow files, which are mapped into memory.

Each file is one record batch of the Arrow IPC file format, uncompressed: flux and error as lists of 8575 float32, and
every field of the spectra's records. A manifest, written last, has each file's checksum and number of spectra.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from apnet_fast.spectra.batch import Product, SpectrumBatch, SpectrumRecord
from apnet_fast.spectra.failures import ReadFailure, Reason
from apnet_fast.spectra.identity import StarIdentity, VisitName, printable
from apnet_fast.spectra.measured import Measured
from apnet_fast.spectra.opening import system_failure
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import sha256_of, write_json, written_whole
from apnet_fast.support.grid import PIXELS
from apnet_fast.support.regular_files import regular_bytes

MANIFEST = "pack.json"
# Lists the files written so far, in a pack that has no manifest yet.
LOG = "packing.jsonl"
PACK_SUFFIX = ".arrow"
FORMAT, VERSION = "apnet_fast pack", 3
MOST_SPECTRA = 100_000
"""Spectra per file of a pack: 6.9 GB."""

# A manifest of DR19 has 3 MB.
_MOST_MANIFEST_BYTES = 256 << 20
# Bytes, not text: names of files need not be UTF-8.
_ARROW = {
    "str": pa.binary(),
    "int": pa.int64(),
    "int | None": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "Product": pa.binary(),
}
_NESTED: dict[str, type] = {"star": StarIdentity, "visit": VisitName, "measured": Measured}
_SPECTRUM = pa.list_(pa.float32(), PIXELS)


Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_SpectraOfAFile = Annotated[int, msgspec.Meta(ge=0, le=MOST_SPECTRA)]
# A plain name: a manifest must not reach outside of its folder.
FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}\.arrow\Z")]


@dataclass(frozen=True)
class PackedFile:
    """Describe one file in the manifest: its checksum, its size in bytes, and its number of coadds and visits."""

    sha256: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")]
    bytes: Number
    star: _SpectraOfAFile
    visit: _SpectraOfAFile

    @property
    def spectra(self) -> int:
        """Return the number of rows of the file."""
        return self.star + self.visit


_UNKNOWN = PackedFile("", 0, 1, 1)


@dataclass(frozen=True)
class Manifest:
    """Describe a pack.

    inputs: number and hash of the sources packed. without_data: number of spectra with a reason. spectra_per_file: the
    value of that option.
    """

    inputs: str
    without_data: int
    files: Mapping[str, PackedFile]
    spectra_per_file: int

    @property
    def spectra(self) -> int:
        """Return the number of spectra of the pack, including those without data."""
        return sum(file.spectra for file in self.files.values())

    def write(self, folder: Path) -> None:
        """Write the manifest into its folder, which makes the pack complete."""
        head = {"format": FORMAT, "version": VERSION, "spectra": self.spectra}
        write_json(folder / MANIFEST, head | asdict(self))


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    """A manifest as it is stored."""

    format: str
    version: int
    spectra: Number
    inputs: str
    without_data: Number
    files: dict[FileName, PackedFile]
    spectra_per_file: Number


class _Head(msgspec.Struct):
    format: str
    version: int
    files: dict[FileName, Any]


def load_manifest(folder: Path) -> Manifest:
    """Load the manifest of the pack in a folder.

    Raises UsageError if it cannot be read, is of another version, or holds anything that a manifest cannot.
    """
    path = folder / MANIFEST
    try:
        content = _manifest_bytes(path)
        head = msgspec.json.decode(content, type=_Head)
        if (head.format, head.version) != (FORMAT, VERSION):
            raise ValueError(f"{head.format[:40]}, version {head.version}")
        stored = msgspec.json.decode(content, type=_Stored)
    except (OSError, ValueError, RecursionError, msgspec.DecodeError) as error:
        raise UsageError(
            "the manifest of the pack cannot be read",
            got=str(error)[:200],
            expected=f"{FORMAT}, version {VERSION}",
            remedy="pack the spectra again",
            where=str(path),
        ) from error
    return Manifest(stored.inputs, stored.without_data, stored.files, stored.spectra_per_file)


def files_of_manifest(folder: Path) -> list[str]:
    """Return the names of a pack's files, whatever version its manifest has; none if it cannot be read."""
    try:
        head = msgspec.json.decode(_manifest_bytes(folder / MANIFEST), type=_Head)
    except (OSError, ValueError, RecursionError, msgspec.DecodeError):
        return []
    return list(head.files) if head.format == FORMAT else []


def is_manifest_of_a_pack(folder: Path) -> bool:
    """Return whether a folder holds a manifest that a version of this package has written."""
    try:
        return msgspec.json.decode(_manifest_bytes(folder / MANIFEST), type=_Head).format == FORMAT
    except (OSError, ValueError, RecursionError, msgspec.DecodeError):
        return False


def _manifest_bytes(path: Path) -> bytes:
    return regular_bytes(path, _MOST_MANIFEST_BYTES)


def is_pack(folder: str) -> bool:
    """Return whether a folder is a pack: it has a manifest."""
    return os.path.isfile(os.path.join(folder, MANIFEST))


def is_unfinished_pack(folder: str) -> bool:
    """Return whether packing into a folder has begun and not ended."""
    return not is_pack(folder) and os.path.isfile(os.path.join(folder, LOG))


def write_pack_file(path: Path, batch: SpectrumBatch) -> PackedFile:
    """Write a batch as one file of a pack. The file appears complete or not at all."""
    columns = [*_record_columns(batch.records), _as_lists(batch.flux), _as_lists(batch.error)]
    rows = pa.RecordBatch.from_arrays(columns, schema=_schema())
    with written_whole(path) as partial, pa.ipc.new_file(str(partial), rows.schema) as writer:
        writer.write_batch(rows)
    stars = sum(record.product == "star" for record in batch.records)
    return PackedFile(sha256_of(path), path.stat().st_size, stars, len(batch) - stars)


def read_pack(path: str, products: Sequence[Product] = ("star", "visit")) -> SpectrumBatch:
    """Read the spectra of one file of a pack: the records and bits that were packed.

    flux, error: float32 (n, 8575), read-only; views of the mapped file if all of its rows are wanted. A bad file never
    raises an error. If the file is missing, cut, or changed since it was packed, it has as many rows as the manifest
    lists, with a reason and the path of the pack's file. If the manifest is lost too, it has one row of each product.
    """
    folder, name = os.path.split(path)
    packed = None
    try:
        packed = _manifest_entry(folder, name)
        return _read_checked(path, packed, products)
    except ReadFailure as failure:
        return _failed(path, packed or _UNKNOWN, failure, products)


def unread_pack(path: str, products: Sequence[Product], reason: Reason, text: str) -> SpectrumBatch:
    """Return failed spectra for a file that must not be opened: as many as the manifest lists."""
    try:
        packed = _manifest_entry(*os.path.split(path))
    except ReadFailure:
        packed = _UNKNOWN
    return _failed(path, packed, ReadFailure(reason, text, hdu=0), products)


def _manifest_entry(folder: str, name: str) -> PackedFile:
    try:
        manifest = _cached_manifest(folder, os.stat(os.path.join(folder, MANIFEST)).st_mtime_ns)
        return manifest.files[name]
    except (OSError, UsageError, KeyError) as error:
        raise ReadFailure(
            Reason.UNREADABLE, f"the pack's manifest is lost, or does not know the file: {error}", 0
        ) from error


@lru_cache(maxsize=4)
def _cached_manifest(folder: str, changed: int) -> Manifest:
    return load_manifest(Path(folder))


def _read_checked(path: str, packed: PackedFile, products: Sequence[Product]) -> SpectrumBatch:
    try:
        size = os.stat(path).st_size
        if size < packed.bytes:
            raise ReadFailure(Reason.TRUNCATED, f"the file has {size} bytes of {packed.bytes}", hdu=0)
        # Only the checksum shows a changed bit of a spectrum.
        if sha256_of(Path(path)) != packed.sha256:
            raise ReadFailure(Reason.UNREADABLE, "the file is not the one that was packed: its checksum differs", hdu=0)
        rows = _checked_rows(path)
        records, flux, error = _records(rows), _as_array(rows.column("flux")), _as_array(rows.column("error"))
    except FileNotFoundError as missing:
        raise ReadFailure(Reason.MISSING_FILE, "no such file", hdu=0) from missing
    except OSError as refused:
        raise system_failure(refused) from refused
    except (pa.ArrowException, ValueError) as invalid:
        raise ReadFailure(Reason.BAD_LAYOUT, f"not a file of a pack: {invalid}", hdu=0) from invalid
    wanted = [i for i, record in enumerate(records) if record.product in products]
    if len(wanted) == len(records):
        return SpectrumBatch(flux, error, records)
    return SpectrumBatch(flux[wanted], error[wanted], [records[i] for i in wanted])


def _checked_rows(path: str) -> pa.RecordBatch:
    """Map a file into memory. Raises ArrowException or ValueError if its columns are not those of a pack."""
    file = pa.ipc.open_file(pa.memory_map(path))
    if file.num_record_batches != 1 or not file.schema.equals(_schema()):
        raise ValueError("its columns are not those of a pack")
    rows = file.get_batch(0)
    # Offsets that lie would be followed out of the file.
    rows.validate(full=True)
    if any(rows.column(field.name).null_count for field in rows.schema if not field.nullable):
        raise ValueError("a value is missing")
    return rows


@lru_cache(maxsize=1)
def _schema() -> pa.Schema:
    spectra = (pa.field(name, _SPECTRUM, nullable=False) for name in ("flux", "error"))
    return pa.schema([*_record_fields(), *spectra])


def _record_fields() -> list[pa.Field]:
    """Return one column per field of a record. Fields of its star and visit are called star.obj, visit.mjd, ..."""
    columns = []
    for field in fields(SpectrumRecord):
        if field.name in _NESTED:
            parts = fields(_NESTED[field.name])
            columns += [_column(f"{field.name}.{part.name}", str(part.type)) for part in parts]
        else:
            # A spectrum with data has the reason "".
            columns.append(_column(field.name, str(field.type)))
    return columns


def _column(name: str, kind: str) -> pa.Field:
    return pa.field(name, _ARROW.get(kind, pa.binary()), nullable=kind == "int | None")


def _record_columns(records: Sequence[SpectrumRecord]) -> list[pa.Array]:
    columns = []
    for field in _record_fields():
        owner, _, part = field.name.rpartition(".")
        values = [getattr(getattr(record, owner) if owner else record, part) for record in records]
        if field.type == pa.binary():
            values = [os.fsencode(value or "") for value in values]
        columns.append(pa.array(values, field.type))
    return columns


def _records(batch: pa.RecordBatch) -> list[SpectrumRecord]:
    columns: dict[str, list[Any]] = {}
    for field in _record_fields():
        values = batch.column(field.name).to_pylist()
        if field.type == pa.binary():
            values = [os.fsdecode(value) for value in values]
        elif field.type == pa.float64():
            # One NaN for all, as a reader of files gives: records with it are equal then.
            values = [math.nan if value != value else value for value in values]
        columns[field.name] = values
    flat = {name: values for name, values in columns.items() if "." not in name}
    flat["reason"] = [Reason(reason) if reason else None for reason in flat["reason"]]
    if not {"star", "visit"}.issuperset(flat["product"]):
        raise ValueError("a spectrum is neither a coadd nor a visit")
    for name, kind in _NESTED.items():
        parts = {part.name: columns[f"{name}.{part.name}"] for part in fields(kind)}
        flat[name] = [kind(**dict(zip(parts, values, strict=True))) for values in zip(*parts.values(), strict=True)]
    return [SpectrumRecord(**dict(zip(flat, values, strict=True))) for values in zip(*flat.values(), strict=True)]


def _as_lists(spectra: NDArray[np.float32]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(spectra).reshape(-1)), PIXELS)


def _as_array(column: pa.Array) -> NDArray[np.float32]:
    return column.flatten().to_numpy(zero_copy_only=True).reshape(-1, PIXELS)


def _failed(path: str, packed: PackedFile, failure: ReadFailure, products: Sequence[Product]) -> SpectrumBatch:
    nobody = StarIdentity("", "", "", "", -1, "", printable(os.path.basename(path)), "")
    nan = math.nan
    numbers: dict[Product, int] = {"star": packed.star, "visit": packed.visit}
    records = [
        SpectrumRecord(
            product, path, -1, nobody, VisitName(), nan, nan, nan, -1, failure.reason, failure.text, failure.hdu
        )
        for product, number in numbers.items()
        if product in products
        for _ in range(number)
    ]
    nothing = np.broadcast_to(np.float32(nan), (len(records), PIXELS))
    return SpectrumBatch(nothing, nothing, records)
