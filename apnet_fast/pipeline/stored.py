"""Read what an earlier run stored as JSON: plan.json, markers and run.json, each checked whole before it is used."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from apnet_fast.support.regular_files import MEBIBYTE, UnfitFile, regular_bytes

# Far more than any of these files has; what is larger is none of them.
_MOST_BYTES = 256 * MEBIBYTE
_Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
_Width = Annotated[int, msgspec.Meta(ge=0, le=10**6)]
_Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]

VERSION_PATTERN = r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}"
"""What versions of this package look like. They are parts of names of files, so they hold no separator."""

Shape = TypeVar("Shape")


class Unsound(Exception):
    """A stored file that is not what a run of this package writes."""


class StoredPart(msgspec.Struct, frozen=True):
    """A Parquet part in a marker."""

    sha256: _Sha256
    bytes: _Count
    rows: _Count
    widths: dict[str, _Width]


class StoredFlux(msgspec.Struct, frozen=True):
    """The counts of `FluxCounts` in a marker."""

    spectra: _Count
    implausible: _Count
    without_scatter: _Count


class StoredMarker(msgspec.Struct, frozen=True):
    """A marker, without its checksum."""

    run: _Sha256
    parts: dict[Literal["star", "visit", "quarantine"], StoredPart]
    reasons: dict[str, _Count]
    incomplete_photometry: _Count
    flux: StoredFlux
    worthless: _Count
    instructions: str
    files: list[str]


class StoredPlan(msgspec.Struct, frozen=True):
    """What plan.json must hold for its folder to be a run's. The rest of the fingerprint is compared by name."""

    version: Annotated[str, msgspec.Meta(pattern=rf"^{VERSION_PATTERN}\Z")]
    spectra: Literal["star", "visit", "both"]
    layout: _Count = 1
    shards: _Count = 10**9


class StoredFile(msgspec.Struct, frozen=True):
    """A result file in run.json."""

    bytes: _Count
    sha256: _Sha256


class StoredCatalog(msgspec.Struct, frozen=True):
    """The catalog of the user in run.json."""

    rows_by_match: dict[Literal["star", "visit"], dict[str, _Count]]


class StoredRecord(msgspec.Struct, frozen=True):
    """What of run.json is read again."""

    software: Annotated[str, msgspec.Meta(pattern="^apnet_fast ")]
    fingerprint: dict[str, str | int]
    products: dict[str, StoredFile]
    catalog: StoredCatalog | None = None


def read_stored(path: Path, shape: type[Shape]) -> Shape:
    """Return the content of a JSON file of this shape.

    Raises FileNotFoundError if there is none, Unsound for anything else that is not of the shape.
    """
    try:
        return msgspec.json.decode(regular_bytes(path, _MOST_BYTES), type=shape)
    except (UnfitFile, IsADirectoryError) as error:
        raise Unsound(f"{path} is not a file of a run: {error.strerror}") from error
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Unsound(f"{path}: {error}") from error


def read_marker(path: Path) -> StoredMarker:
    """Return a marker whose checksum is right. Raises FileNotFoundError or Unsound."""
    content = read_stored(path, dict[str, Any])
    checksum = content.pop("checksum", None)
    try:
        if checksum != checksum_of(content):
            raise Unsound(f"{path}: its checksum is another")
        return msgspec.convert(content, StoredMarker)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unsound(f"{path}: {error}") from error


def checksum_of(content: dict[str, Any]) -> str:
    """Return the hash that a marker carries of its own content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
