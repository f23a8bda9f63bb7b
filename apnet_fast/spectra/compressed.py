"""Read files that are compressed by gzip: unpack them into memory, up to a limit, and read them from there.

Files that fpack has compressed (.fits.fz) need no unpacking: the FITS library reads their images.
"""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from apnet_fast.spectra.failures import ReadFailure, Reason

_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20
MOST_BYTES = 512 << 20
"""Bytes that a file may unpack to: a DR17 file of 1,000 visits. More is an attack or an accident."""


@contextmanager
def unpacked(file: BinaryIO) -> Iterator[BinaryIO]:
    """Return the file itself, or, if its bytes are gzip's, a file in memory with what they hold.

    Raises ReadFailure for what gzip cannot unpack, and for what becomes larger than MOST_BYTES.
    """
    if os.pread(file.fileno(), len(_MAGIC), 0) != _MAGIC:
        yield file
        return
    with _memory() as memory:
        file.seek(0)
        try:
            _unpack(file, memory)
        except EOFError as error:
            raise ReadFailure(Reason.TRUNCATED, "the file ends before its gzip data do", hdu=0) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise ReadFailure(Reason.UNREADABLE, f"gzip cannot unpack the file: {error}", hdu=0) from error
        memory.flush()
        memory.seek(0)
        yield memory


def _unpack(file: BinaryIO, memory: BinaryIO) -> None:
    with gzip.GzipFile(fileobj=file, mode="rb") as packed:
        total = 0
        while chunk := packed.read(_CHUNK):
            total += len(chunk)
            if total > MOST_BYTES:
                text = f"the file unpacks to more than {MOST_BYTES >> 20} MiB, which no file of a star has"
                raise ReadFailure(Reason.BAD_LAYOUT, text, hdu=0)
            memory.write(chunk)


def _memory() -> BinaryIO:
    """Return a file in memory, or a temporary one on systems without such files."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("apnet_fast"), "w+b")
    return tempfile.TemporaryFile()
