"""Read apStar files without a FITS library: NAXIS2 shows where the flux and error rows lie.

This is fast because it does little: one read of the head, one of the contiguous run of flux and error, and one of each
later header, because a file that ends too early must not give results. It reads only the plain form of an apStar file.
Everything else goes to the FITS library, including every judgement of what is wrong.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np
from numpy.typing import NDArray

from apnet_fast.spectra.batch import Product
from apnet_fast.spectra.extension import BLOCK, CARD, Extension, find_end, parse_extension
from apnet_fast.spectra.header import PrimaryHeader, cards_of
from apnet_fast.spectra.layout import ERROR_HDU, FLUX_HDU, MOST_HDUS, MOST_ROWS, RV_HDU, misplaced, rows_of
from apnet_fast.spectra.odd_cards import odd_card
from apnet_fast.spectra.rv_table import Fits, visit_fits
from apnet_fast.support.compiled import compiled
from apnet_fast.support.grid import PIXELS

# First read: the primary header of up to about 30 visits and the header behind it. Second read, if that is too little.
_HEAD, _LONG_HEAD = 16 * BLOCK, 200 * BLOCK
# The headers of the tables have 70 to 100 cards.
_LATER_HEAD = 4 * BLOCK
# Bytes that a reader keeps between files: 2 x 60 rows of float64.
_KEPT = 8 << 20

_PRINTABLE = bytes(range(ord(" "), ord("~") + 1))
_FIRST_CARDS = re.compile(r"SIMPLE  = {20}T *(?:/.*)?\nBITPIX  = {19}(?: 8|16) *(?:/.*)?\nNAXIS   = {20}0 *(?:/.*)?")
_EXTEND = re.compile(r" {19}[TF] *(?:/.*)?")
# Cards that change how a FITS library reads a primary header without data.
_UNUSUAL = frozenset((
    "SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "XTENSION", "EXTNAME", "EXTVER", "EXTLEVEL", "HDUNAME", "HDUVER",
    "BSCALE", "BZERO", "BLANK", "PCOUNT", "GCOUNT", "GROUPS", "ZIMAGE", "INHERIT",
))  # fmt: skip

_scratch = threading.local()


@dataclass(frozen=True)
class ApStar:
    """Hold what was read from an apStar file.

    n_hdus: number of HDUs, the primary included. n_rows: rows of HDU 1. flux, error: float32 (m, 8575), of the rows
    wanted. has_data: bool (m,), whether some flux is finite and not zero. fits: rows of the RV table by visit file, if
    visits are wanted.
    """

    header: PrimaryHeader
    n_hdus: int
    n_rows: int
    flux: NDArray[np.float32]
    error: NDArray[np.float32]
    has_data: NDArray[np.bool_]
    fits: Fits


def read_direct(descriptor: int, size: int, products: Sequence[Product]) -> ApStar | None:
    """Read the spectra of an open file of `size` bytes; None if anything about it is unusual.

    Raises OSError as the system does.
    """
    head = os.pread(descriptor, _HEAD, 0)
    primary_bytes = find_end(head)
    if not 0 < primary_bytes <= _HEAD - _LATER_HEAD:
        head = os.pread(descriptor, _LONG_HEAD, 0)
        primary_bytes = find_end(head)
    header = _primary(head[:primary_bytes]) if primary_bytes else None
    flux_hdu = _extension_at(head[primary_bytes:]) if header is not None else None
    if header is None or flux_hdu is None or not _holds_spectra(flux_hdu, FLUX_HDU):
        return None
    # Check before allocating: a damaged NAXIS2 may ask for any amount.
    start = primary_bytes + flux_hdu.header_bytes
    if start + 2 * flux_hdu.data_bytes > size:
        return None
    n_rows = flux_hdu.axes[1] if len(flux_hdu.axes) == 2 else 1
    rows = rows_of(n_rows, products)
    read = _spectra(descriptor, start, flux_hdu, rows)
    if read is None:
        return None
    error_header, flux, error, has_data = read
    error_hdu = _extension_at(error_header)
    if error_hdu is None or (error_hdu.bitpix, error_hdu.axes) != (flux_hdu.bitpix, flux_hdu.axes):
        return None
    end_of_error = start + 2 * flux_hdu.data_bytes + error_hdu.header_bytes
    if error_hdu.header_bytes != BLOCK or not _holds_spectra(error_hdu, ERROR_HDU):
        return None
    later = _later_hdus(descriptor, end_of_error, size)
    if later is None:
        return None
    n_hdus, rv_header, rv_rows_at = later
    fits: Fits = {}
    if rv_header and "visit" in products:
        fits = visit_fits(rv_header, partial(fill, descriptor), rv_rows_at)
    return ApStar(header, n_hdus, n_rows, flux, error, has_data, fits)


def _primary(header: bytes) -> PrimaryHeader | None:
    if header.translate(None, _PRINTABLE) or odd_card(header):
        return None
    text = header.decode("ascii")
    end = text.find("END     ")
    if end % CARD or text[end + CARD :].strip():
        return None
    if _FIRST_CARDS.fullmatch("\n".join((text[:80], text[80:160], text[160:240]))) is None:
        return None
    cards = cards_of(text[240:end])
    if not _UNUSUAL.isdisjoint(cards) or _EXTEND.fullmatch(cards.get("EXTEND", " " * 19 + "T")) is None:
        return None
    return PrimaryHeader(cards)


def _extension_at(head: bytes) -> Extension | None:
    length = find_end(head)
    return parse_extension(head[:length]) if length else None


def _holds_spectra(hdu: Extension, number: int) -> bool:
    shape_fits = len(hdu.axes) in (1, 2) and hdu.axes[0] == PIXELS and 0 < prod(hdu.axes[1:]) <= MOST_ROWS
    is_spectra = hdu.is_image and hdu.bitpix in (-32, -64) and shape_fits
    return is_spectra and not misplaced(number, hdu.bunit, hdu.extname)


def _later_hdus(descriptor: int, offset: int, size: int) -> tuple[int, bytes, int] | None:
    """Return the number of HDUs, the header of HDU 9 (b"" if there is none) and the place of its data.

    None if plain HDUs at their places do not fill the file from HDU 3, at `offset`, to its end.
    """
    rv_header, rv_rows_at = b"", 0
    names: list[tuple[int, str, str]] = []
    for number in range(3, MOST_HDUS):
        if offset >= size:
            right = offset == size and not any(misplaced(*name, n_hdus=number) for name in names)
            return (number, rv_header, rv_rows_at) if right else None
        head = os.pread(descriptor, _LATER_HEAD, offset)
        hdu = _extension_at(head)
        if hdu is None:
            return None
        if hdu.bunit or hdu.extname:
            names.append((number, hdu.bunit, hdu.extname))
        if number == RV_HDU:
            rv_header, rv_rows_at = head[: hdu.header_bytes], offset + hdu.header_bytes
        offset += hdu.header_bytes + hdu.data_bytes
    return None


def _spectra(
    descriptor: int, start: int, hdu: Extension, rows: Sequence[int]
) -> tuple[bytes, NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]] | None:
    """Return the header between flux and error, flux, error, and which spectra have data; None if the file is short."""
    row_bytes = PIXELS * abs(hdu.bitpix) // 8
    header_at = start + hdu.data_bytes
    kind = np.dtype(np.uint64 if hdu.bitpix == -64 else np.uint32)
    first, n = rows[0], rows[-1] - rows[0] + 1
    flux = np.empty((len(rows), PIXELS), np.float32)
    error = np.empty_like(flux)
    where = np.asarray(rows) - first
    has_data = np.empty(len(rows), np.bool_)
    cast = _cast_float64 if hdu.bitpix == -64 else _cast_float32
    if rows == [0]:
        # Read the two rows alone: the run between them may be long.
        parts = [(start, row_bytes), (header_at, BLOCK + row_bytes)]
    else:
        begin = start + first * row_bytes
        parts = [(begin, header_at + BLOCK + rows[-1] * row_bytes + row_bytes - begin)]
    buffer = _buffer(sum(length for _, length in parts))
    filled = 0
    for offset, length in parts:
        if not fill(descriptor, buffer[filled : filled + length], offset):
            return None
        filled += length
    header_in_buffer = filled - BLOCK - (rows[-1] + 1) * row_bytes
    error_in_buffer = header_in_buffer + BLOCK + first * row_bytes
    cast(buffer[: n * row_bytes].view(kind).reshape(n, PIXELS), where, flux)
    cast(buffer[error_in_buffer : error_in_buffer + n * row_bytes].view(kind).reshape(n, PIXELS), where, error)
    _find_data(flux, has_data)
    return buffer[header_in_buffer : header_in_buffer + BLOCK].tobytes(), flux, error, has_data


def _buffer(length: int) -> NDArray[np.uint8]:
    """Return memory to read into. A thread keeps its own, because fresh pages cost as much as the reading."""
    if length > _KEPT:
        return np.empty(length, np.uint8)
    if not hasattr(_scratch, "buffer"):
        _scratch.buffer = np.empty(_KEPT, np.uint8)
    return _scratch.buffer[:length]


def fill(descriptor: int, buffer: NDArray[np.uint8], offset: int) -> bool:
    """Read until the buffer is full; return False if the file ends before."""
    view, done = buffer.data, 0
    while done < len(view):
        got = os.preadv(descriptor, [view[done:]], offset + done)
        if got == 0:
            return False
        done += got
    return True


@compiled
def _cast_float64(raw: NDArray[np.uint64], rows: NDArray[np.int64], out: NDArray[np.float32]) -> None:
    """Cast the given rows of big-endian float64 (n, pixels), seen as integers, to float32 (m, pixels), to nearest."""
    bytes_2, bytes_4 = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
    for i in range(len(rows)):
        for j in range(out.shape[1]):
            x = raw[rows[i], j]
            x = ((x & bytes_2) << np.uint64(8)) | ((x >> np.uint64(8)) & bytes_2)
            x = ((x & bytes_4) << np.uint64(16)) | ((x >> np.uint64(16)) & bytes_4)
            x = (x << np.uint64(32)) | (x >> np.uint64(32))
            out[i, j] = np.float32(np.uint64(x).view(np.float64))


@compiled
def _cast_float32(raw: NDArray[np.uint32], rows: NDArray[np.int64], out: NDArray[np.float32]) -> None:
    """Copy the given rows of big-endian float32 (n, pixels), seen as integers, to native float32 (m, pixels)."""
    bytes_2 = np.uint32(0x00FF00FF)
    for i in range(len(rows)):
        for j in range(out.shape[1]):
            x = raw[rows[i], j]
            x = ((x & bytes_2) << np.uint32(8)) | ((x >> np.uint32(8)) & bytes_2)
            x = (x << np.uint32(16)) | (x >> np.uint32(16))
            out[i, j] = np.uint32(x).view(np.float32)


@compiled
def _find_data(flux: NDArray[np.float32], has_data: NDArray[np.bool_]) -> None:
    """Do what `missing.usable_spectra` does, stopping at the first pixel with data."""
    for i in range(flux.shape[0]):
        has_data[i] = False
        for j in range(flux.shape[1]):
            if np.isfinite(flux[i, j]) and flux[i, j] != 0:
                has_data[i] = True
                break
