"""Write files that appear complete or not at all, and lock an output folder."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apnet_fast.support.errors import UsageError

PARTIAL = ".partial"


def _umask() -> int:
    """Return the process's umask; the only way to read it is to set it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


_UMASK = _umask()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; on success flush it to disk and rename it to `path`."""
    partial = path.with_name(path.name + PARTIAL)
    partial.unlink(missing_ok=True)
    try:
        yield partial
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    # Some writers make files that only their owner may read, whatever the umask.
    partial.chmod(0o666 & ~_UMASK)
    os.replace(partial, path)


def check_folder_of(path: Path) -> None:
    """Raise UsageError, before any work is done, if the folder of a file to write does not exist."""
    if not path.absolute().parent.is_dir():
        raise UsageError("no such folder", got=str(path.parent), remedy="make it first")
    if path.is_dir():
        raise UsageError("this is a folder, not a file to write", got=str(path), remedy="add the file's name")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON, with null for NaN and infinity; the file appears complete or not at all."""
    text = json.dumps(without_nan(value), indent=2, allow_nan=False)
    with written_whole(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def without_nan(value: Any) -> Any:
    """Return a nest of mappings, lists and values with None for NaN and infinity, which JSON does not know."""
    if isinstance(value, Mapping):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder against other runs on this machine. Raises UsageError if another run holds it."""
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                "another run is writing to this output folder",
                got=str(folder),
                remedy="wait for it, or give another --output",
            ) from error
        yield
