"""Files that appear complete or not at all, and the lock of an output folder."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apnet_fast.errors import UsageError

PARTIAL = ".partial"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; on success it is flushed to disk and renamed to `path`."""
    partial = path.with_name(path.name + PARTIAL)
    partial.unlink(missing_ok=True)
    yield partial
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON; the file appears complete or not at all."""
    with written_whole(path) as partial:
        partial.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other runs on this machine; UsageError if another one has it."""
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
