"""Find the HDUs of a FITS file by their headers alone, plain or packed with gzip.

Definition: FITS standard 4.0, sections 3.3 (structure), 4.4.1 (mandatory keywords) and 7 (extensions).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import BinaryIO, cast

from apnet_fast.spectra.extension import BLOCK, CARD
from apnet_fast.spectra.header import PrimaryHeader, cards_of

_END = "END".ljust(CARD)
# A table of 999 columns with every card has some 10,000 of them.
_MOST_HEADER_BLOCKS = 2000
_MOST_DATA_BYTES = 2**60  # a file has fewer, and a stream cannot seek beyond 2**63
_MOST_HDUS = 1000
# Axes and columns are numbered by three digits.
_MOST_NUMBERED = 999
# No file system has larger files.
_MOST_DATA = 1 << 60
_GZIP_MAGIC = b"\x1f\x8b"


class DamagedFits(Exception):
    """The bytes are not those of a FITS file, or end too early; the message names the place."""

    def __init__(self, text: str, *, cut: bool = False) -> None:
        super().__init__(text)
        self.cut = cut


@dataclass(frozen=True)
class Hdu:
    """One HDU. kind: "" for the primary, else XTENSION. data_start, data_bytes: where its data are, without padding."""

    number: int
    kind: str
    header: PrimaryHeader
    data_start: int
    data_bytes: int

    @property
    def is_table(self) -> bool:
        """Return whether it is a binary or ASCII table, and not an image packed into one."""
        return self.kind in ("BINTABLE", "A3DTABLE", "TABLE") and not self.is_packed_image

    @property
    def is_packed_image(self) -> bool:
        """Return whether it is an image that fpack has packed into a table."""
        return self.header.text("ZIMAGE") == "T"

    @property
    def is_packed_table(self) -> bool:
        """Return whether it is a table that fpack has packed."""
        return self.header.text("ZTABLE") == "T"

    @property
    def rows(self) -> int:
        """Return the number of rows of a table."""
        return card_integer(self.header, "NAXIS2")

    @property
    def column_names(self) -> list[str]:
        """Return the names of a table's columns (TTYPEn), "" for one without a name."""
        number = min(card_integer(self.header, "TFIELDS"), _MOST_NUMBERED)
        return [self.header.text(f"TTYPE{n}") for n in range(1, number + 1)]


def unpacked(file: BinaryIO) -> BinaryIO:
    """Return a stream of the file's contents from its beginning, which unpacks gzip."""
    file.seek(0)
    magic = file.read(len(_GZIP_MAGIC))
    file.seek(0)
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if magic == _GZIP_MAGIC else file


def scan_hdus(stream: BinaryIO) -> Iterator[Hdu]:
    """Yield the HDUs of a stream (from `unpacked`), each as soon as its header has been read.

    Raises DamagedFits for what is not a FITS file or ends inside a header, and what the stream raises.
    """
    stream.seek(0)
    for number in range(_MOST_HDUS):
        header = _read_header(stream, number)
        if header is None:
            return
        start = stream.tell()
        size = _data_bytes(header, number)
        if size > _MOST_DATA_BYTES:
            raise DamagedFits(f"the header of HDU {number} claims {size} bytes of data")
        yield Hdu(number, header.text("XTENSION") if number else "", header, start, size)
        stream.seek(start + -(-size // BLOCK) * BLOCK)


def card_integer(header: PrimaryHeader, key: str, default: int = 0) -> int:
    """Return an integer card of any size; `default` if it is missing. Raises DamagedFits for any other value."""
    text = header.text(key)
    if not text:
        return default
    try:
        return int(text)
    except ValueError as error:
        raise DamagedFits(f"the card {key} is {text!r}, not an integer") from error


def _read_header(stream: BinaryIO, number: int) -> PrimaryHeader | None:
    """Read a header; None behind the last HDU, where FITS allows other bytes."""
    blocks: list[str] = []
    for _ in range(_MOST_HEADER_BLOCKS):
        block = stream.read(BLOCK)
        if not blocks and not block.startswith(b"XTENSION=" if number else b"SIMPLE  ="):
            if number:
                return None
            raise DamagedFits(f"a FITS file begins with 'SIMPLE  =', this one with {block[:9]!r}")
        if len(block) < BLOCK:
            raise DamagedFits(f"the file ends inside the header of HDU {number}", cut=True)
        text = block.decode("ascii", errors="replace")
        blocks.append(text)
        if _ends(text):
            return PrimaryHeader(cards_of("".join(blocks)))
    raise DamagedFits(f"the header of HDU {number} has no END card")


def _ends(block: str) -> bool:
    place = block.find(_END)
    while place > 0 and place % CARD:
        place = block.find(_END, place + 1)
    return place >= 0


def _data_bytes(header: PrimaryHeader, number: int) -> int:
    number_of_axes = card_integer(header, "NAXIS")
    if not 0 <= number_of_axes <= _MOST_NUMBERED:
        raise DamagedFits(f"HDU {number} has {number_of_axes} axes (NAXIS)")
    axes = [card_integer(header, f"NAXIS{n}") for n in range(1, number_of_axes + 1)]
    groups, heap = card_integer(header, "GCOUNT", 1), card_integer(header, "PCOUNT")
    if not axes:
        return 0
    if min(*axes, groups, heap) < 0:
        raise DamagedFits(f"the sizes in the header of HDU {number} make no sense")
    if axes[0] == 0 and number == 0:  # random groups, of which no survey table is one
        axes = axes[1:]
    size = abs(card_integer(header, "BITPIX")) // 8 * groups * (heap + prod(axes))
    if size > _MOST_DATA:
        raise DamagedFits(f"the data of HDU {number} have {size} bytes by its header")
    return size
