"""Write files that appear complete or not at all, and read small files that others may have changed."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from apnet_fast.support.attempts import end_attempt, new_attempt
from apnet_fast.support.errors import UsageError
from apnet_fast.support.notices import warn_once
from apnet_fast.support.os_errors import advice_of
from apnet_fast.support.regular_files import opened_regular

# What file systems answer that have no fsync, or none for this kind of file. EIO is not among them: data are lost then.
_WITHOUT_FSYNC = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EROFS}


def _umask() -> int:
    """Return the process's umask; the only way to read it is to set it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


_UMASK = _umask()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; on success flush it to disk and rename it to `path`.

    Several processes may write the same file at once: each has a path of its own, and the last rename counts. Raises
    OSError with a file name, whatever the writer in between raises.
    """
    attempt = new_attempt(path)
    try:
        yield attempt
        _settle(attempt, path)
        os.replace(attempt, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename in (None, str(attempt)):
            error.filename = str(path)
        end_attempt(attempt, remove=True)
        raise
    end_attempt(attempt, remove=False)


@contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path` to write files to; on success flush them and rename the folder to `path`.

    Several processes may write the same folder at once: each has one of its own, and the first rename counts. Raises
    FileExistsError if another was first, and OSError with a file name.
    """
    attempt = new_attempt(path)
    try:
        attempt.mkdir()
        yield attempt
        for file in attempt.iterdir():
            _settle(file, path / file.name)
        try:
            os.rename(attempt, path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise FileExistsError(errno.EEXIST, "another was first", str(path)) from error
            raise
    except BaseException as error:
        if isinstance(error, OSError) and (error.filename is None or str(error.filename).startswith(str(attempt))):
            error.filename = str(path)
        end_attempt(attempt, remove=True)
        raise
    end_attempt(attempt, remove=False)


def _settle(attempt: Path, path: Path) -> None:
    """Flush a file that was written, and let others read it."""
    with attempt.open("rb+") as file:
        _flush(file.fileno(), path)
    # Some writers make files that only their owner may read, whatever the umask. File systems of clusters may refuse
    # to change that; the data are the same.
    with suppress(PermissionError, NotImplementedError):
        attempt.chmod(0o666 & ~_UMASK)


def append_line(path: Path, line: bytes) -> None:
    """Append a line to a file and flush it to disk. Raises OSError with the file's name."""
    try:
        with path.open("ab") as file:
            file.write(line + b"\n")
            file.flush()
            _flush(file.fileno(), path)
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def _flush(descriptor: int, path: Path) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _WITHOUT_FSYNC:
            raise
        warn_once(
            f"the file system cannot flush files to disk ({error.strerror}) [{path}]:"
            " what was written last may be lost if the machine loses power",
            about="flushing files to disk",
        )


def check_output_folder(output: Path, remedy: str = "give another --output") -> None:
    """Raise UsageError, before anything is computed, for an output that cannot be a folder to write in.

    It is tried, since mode bits say nothing to root, nor on file systems such as /proc; nothing is left behind.
    """
    expected = "a folder that exists or can be made, and that you may write in"
    if os.path.lexists(output) and not output.is_dir():
        what = "a link to nothing" if output.is_symlink() else "a file"
        raise UsageError(f"the output is {what}", got=str(output), expected=expected, remedy=remedy)
    there = next(folder for folder in (output.absolute(), *output.absolute().parents) if os.path.lexists(folder))
    if not there.is_dir():
        raise UsageError(
            "the output folder cannot be made",
            got=f"{output}, where {there} is a file",
            expected=expected,
            remedy=remedy,
        )
    what = f"the output folder cannot be {'written to' if there == output.absolute() else 'made'}"
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(
            what,
            got=f"{output}, where {there} is not yours to write in",
            expected=expected,
            remedy=f"{remedy}, or have the rights changed",
        )
    try:
        with tempfile.TemporaryFile(prefix=".apnet_fast-", dir=there):
            pass
    except OSError as error:
        if not advice_of(error).passing:
            raise UsageError(
                what,
                got=f"{output}, where {there} takes no files ({error.strerror})",
                expected=expected,
                remedy=remedy,
            ) from error


def check_folder_of(path: Path, *, made: bool = False) -> None:
    """Raise UsageError, before any work is done, for a path that cannot be a file to write.

    made: whether its folder will be made; otherwise it must exist.
    """
    if path.is_dir():
        raise UsageError(
            "this is a folder, not a file to write",
            got=str(path),
            expected="the name of a file, which may exist",
            remedy=f"add the file's name: {path / 'NAME'}",
        )
    if made:
        check_output_folder(path.parent)
    elif not path.absolute().parent.is_dir():
        raise UsageError(
            "no such folder",
            got=str(path.parent),
            expected="a folder that exists",
            remedy=f"make it first: mkdir -p {path.parent}",
        )


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
    """Return the hexadecimal SHA-256 of a file's bytes. Raises OSError, `UnfitFile` if it is not a regular file."""
    with opened_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
