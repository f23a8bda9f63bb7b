"""Parse extension headers in their plainest form, card by card.

Most headers of a tree are equal to the byte (only NAXIS2 and BUNIT differ), so a header is parsed once and cached by
its bytes. Legal FITS in any other form counts as unusual, and the FITS library has to read it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from math import prod

BLOCK = 2880
CARD = 80
END = b"END".ljust(CARD)
PRINTABLE = re.compile(rb"[ -~]*")

_TEXT = r"'(?:[^']|'')*'"
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[ED][+-]?\d+)?"
_VALUE_CARD = re.compile(rf"(?=.{{8}}= )([A-Z0-9_-]+) *= +({_TEXT}|{_NUMBER}|[TF]) *(?:/.*)?")
_FREE_CARD = re.compile(r"(?:COMMENT|HISTORY| {7}) .*")
# Cards that change the meaning of the data or how an HDU is found; FITS libraries differ in how they judge these.
_UNUSUAL = re.compile(
    r"BSCALE|BZERO|BLANK|Z.*|EXTVER|EXTLEVEL|HDUNAME|HDUVER|GROUPS|THEAP|INHERIT|SIMPLE|EXTEND|LONGSTRN|CONTINUE|END"
)
_COLUMN_CARD = re.compile(r"T(TYPE|FORM|UNIT|DIM|DISP)([1-9]\d{0,2})")
_COLUMN = re.compile(r"'(\d*)([LXBIJKAEDCM]) *'")
_DIMENSIONS = re.compile(r"'\( *\d+(?: *, *\d+)* *\) *'")
_BYTES = {"L": 1, "B": 1, "A": 1, "I": 2, "J": 4, "E": 4, "K": 8, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16}
# No apStar HDU has more. A damaged number must not decide how much work is done.
_MOST_AXES, _MOST_COLUMNS = 3, 999
_BITPIX = (8, 16, 32, 64, -32, -64)


@dataclass(frozen=True)
class Extension:
    """Describe a plain extension: its axes (NAXIS1, NAXIS2, ...), padded sizes of header and data, and its names."""

    is_image: bool
    bitpix: int
    axes: tuple[int, ...]
    header_bytes: int
    data_bytes: int
    bunit: str = ""
    extname: str = ""


def find_end(head: bytes) -> int:
    """Return the padded length of the header at the start of `head`; 0 if its END card is not in `head`."""
    place = head.find(END)
    while place % CARD and place > 0:
        place = head.find(END, place + 1)
    length = -(-(place + CARD) // BLOCK) * BLOCK
    return length if place > 0 and length <= len(head) else 0


@lru_cache(maxsize=1024)
def parse_extension(header: bytes) -> Extension | None:
    """Parse a header (whole blocks, from `find_end`); None if anything about it is unusual."""
    if PRINTABLE.fullmatch(header) is None:
        return None
    cards = [text.decode("ascii") for text in (header[i : i + CARD] for i in range(0, len(header), CARD))]
    last = cards.index(END.decode())
    if any(card.strip() for card in cards[last + 1 :]):
        return None
    kind = cards[0][10:20]
    values: list[tuple[str, str]] = []
    first_free = last
    for number, card in enumerate(cards[:last]):
        match = _VALUE_CARD.fullmatch(card)
        if match is not None:
            values.append((match[1], match[2]))
        elif _FREE_CARD.fullmatch(card) is not None:
            first_free = min(first_free, number)
        else:
            return None
    if kind not in ("'IMAGE   '", "'BINTABLE'"):
        return None
    return _extension(values, first_free, kind == "'IMAGE   '", len(header))


def _extension(values: list[tuple[str, str]], first_free: int, is_image: bool, header_bytes: int) -> Extension | None:
    """Build the extension from its cards in order. Each structural card must be at its place and nowhere else.

    first_free: place of the first card without a value.
    """
    numbers = [int(value) if value.isdigit() else -1 for _, value in values]
    n_axes = numbers[2] if len(values) > 2 else -1
    if not 0 <= n_axes <= _MOST_AXES:
        return None
    names = ["XTENSION", "BITPIX", "NAXIS", *(f"NAXIS{i + 1}" for i in range(n_axes)), "PCOUNT", "GCOUNT"]
    if not is_image:
        names.append("TFIELDS")
    if [name for name, _ in values[: len(names)]] != names or first_free < len(names):
        return None
    axes = tuple(numbers[3 : 3 + n_axes])
    bitpix = int(values[1][1]) if re.fullmatch(r"-?\d{1,2}", values[1][1]) else 0
    p_count, g_count = numbers[3 + n_axes : 5 + n_axes]
    rest = values[len(names) :]
    structural = set(names)
    if bitpix not in _BITPIX or min(axes, default=0) < 0 or (p_count, g_count) != (0, 1):
        return None
    if any(name in structural or _UNUSUAL.fullmatch(name) for name, _ in rest):
        return None
    named = [(name, value) for name, value in rest if name in ("BUNIT", "EXTNAME")]
    called = {name: unquoted(value) for name, value in named if value.startswith("'")}
    # A name that is not text, or there twice, is unusual.
    if len(called) < len(named):
        return None
    if not is_image and not (bitpix == 8 and n_axes == 2 and _columns_fit(rest, axes[0], numbers[len(names) - 1])):
        return None
    data_bytes = abs(bitpix) // 8 * prod(axes) if axes else 0
    padded = -(-data_bytes // BLOCK) * BLOCK
    return Extension(is_image, bitpix, axes, header_bytes, padded, called.get("BUNIT", ""), called.get("EXTNAME", ""))


def unquoted(value: str) -> str:
    """Return the text of a quoted value."""
    return value[1:-1].replace("''", "'").strip()


def form_bytes(letter: str, count: int) -> int:
    """Return the bytes of a binary table's field, by the letter and the repeat count of its TFORM (standard 4.0)."""
    return -(-count // 8) if letter == "X" else count * _BYTES[letter]


def _columns_fit(values: list[tuple[str, str]], width: int, n_columns: int) -> bool:
    """Return whether a table's columns are 1 .. n, each described once, and fill its rows."""
    cards = [(_COLUMN_CARD.fullmatch(name), value) for name, value in values if name.startswith("T")]
    described = [(card[1], int(card[2])) for card, _ in cards if card is not None]
    if (
        n_columns > _MOST_COLUMNS
        or len(set(described)) < len(cards)
        or any(number > n_columns for _, number in described)
    ):
        return False
    total, found = 0, []
    for (what, number), (_, value) in zip(described, cards, strict=True):
        if what == "DIM" and _DIMENSIONS.fullmatch(value) is None:
            return False
        if what == "FORM":
            match = _COLUMN.fullmatch(value)
            if match is None:
                return False
            count = int(match[1] or 1)
            total += form_bytes(match[2], count)
            found.append(number)
    return found == [*range(1, n_columns + 1)] and total == width
