"""Mutations of any FITS file: its cards and its HDUs."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.odd_forms import FORMS, OF_COLUMNS, VALUES, odd

BLOCK, CARD = 2880, 80

NUMBERS = ("0", "1", "-1", "2", "7", "80", "8575", "8574", "8576", "99999", "2147483648", "1000000000000000000", "1.5")
KEYWORDS = ("NAXIS", "NAXIS1", "NAXIS2", "BITPIX", "PCOUNT", "GCOUNT", "TFIELDS", "THEAP")
FORMATS = (
    "1D", "8575E", "8575D", "8574E", "0E", "1PE(9)", "1QE(9)", "9PD", "1000000000D", "A", "300A", "0A", "L", "X", "64X",
    "B", "I", "J", "K", "C", "M", "Q", "", "rubbish", "-1E", "1E 8575",
)  # fmt: skip
TABLE_CARDS = (
    "TNULL{n}  =               999999", "TNULL{n}  =                   -1", "TNULL{n}  = 'x'",
    "TSCAL{n}  =                0.001", "TSCAL{n}  =                  0.0", "TZERO{n}  =           2147483648",
    "TZERO{n}  =  9223372036854775808", "TDIM{n}   = '(1)'", "TDIM{n}   = '(5,1715)'", "TDIM{n}   = '(0)'",
    "TDIM{n}   = '(-3,2)'", "TDIM{n}   = 'x'", "TTYPE{n}  = 'flux'", "TTYPE{n}  = 'FILE'", "TTYPE{n}  = ''",
    "TTYPE{n}  =                    5", "TBCOL{n}  =                    1", "TDISP{n}  = 'A3'",
)  # fmt: skip
CARDS = (
    "END", "XTENSION= 'IMAGE   '", "XTENSION= 'BINTABLE'", "XTENSION= 'TABLE   '", "XTENSION= 'A3DTABLE'",
    "SIMPLE  =                    F", "GROUPS  =                    T", "ZIMAGE  =                    T",
    "ZTABLE  =                    T", "INHERIT =                    T", "EXTNAME = 'APOGEE/APO'", "EXTNAME =  5",
    "INSTRMNT= 'APOGEE  '", "CONTINUE  'abc'", "HIERARCH a b = 2", "BLANK   =                    3",
    "BSCALE  =                  2.0", "BZERO   =                  1.0", "", "\x01\x02", "CHECKSUM= '0000000000000000'",
)  # fmt: skip

_END = re.compile(rb"(?:.{80})*?END {77}", re.DOTALL)


def header_of(content: bytes, start: int) -> tuple[list[bytes], int]:
    """Return the cards of the header that begins at a byte, and where its data begin; ValueError if there is none."""
    match = _END.match(content, start)
    if match is None:
        raise ValueError(f"no header at byte {start}")
    cards = [content[at : at + CARD] for at in range(start, match.end(), CARD)]
    return cards, start - (start - match.end()) // BLOCK * BLOCK


def split(content: bytes) -> list[tuple[list[bytes], bytes]]:
    """Split a sound file into its HDUs: cards (without the filling behind END), and data with their filling."""
    hdus, start = [], 0
    while start < len(content):
        cards, data = header_of(content, start)
        values = {card[:8].decode().strip(): card[10:].split(b"/")[0].strip() for card in cards if card[8:10] == b"= "}
        axes = [int(values[f"NAXIS{n + 1}"]) for n in range(int(values["NAXIS"]))]
        size = 0
        if axes:
            size = 1
            for axis in axes:
                size *= axis
            size = abs(int(values["BITPIX"])) // 8 * (size + int(values.get("PCOUNT", 0)))
        end = data + -(-size // BLOCK) * BLOCK
        hdus.append((cards, content[data:end]))
        start = end
    return hdus


def joined(hdus: list[tuple[list[bytes], bytes]]) -> bytes:
    """Return the file of some HDUs."""
    parts = []
    for cards, data in hdus:
        header = b"".join(cards)
        parts += [header, b" " * (-len(header) % BLOCK), data]
    return b"".join(parts)


def card(text: str) -> bytes:
    """Return a card of 80 bytes."""
    return text.encode("latin-1").ljust(CARD)[:CARD]


Hdus = list[tuple[list[bytes], bytes]]


def _number(hdus: Hdus, rng: random.Random) -> str:
    """Set a number that decides the layout."""
    at, keyword, value = rng.randrange(len(hdus)), rng.choice(KEYWORDS), rng.choice(NUMBERS)
    _set(hdus[at][0], f"{keyword:8}= {value:>20}")
    return f"HDU {at}: {keyword} = {value}"


def _format(hdus: Hdus, rng: random.Random) -> str:
    """Set the type of a column."""
    at, column, form = _column(hdus, rng), rng.randint(1, 12), rng.choice(FORMATS)
    _set(hdus[at][0], f"TFORM{column}".ljust(8) + f"= '{form}'")
    return f"HDU {at}: TFORM{column} = {form}"


def _table_card(hdus: Hdus, rng: random.Random) -> str:
    """Set a card that says how a column is to be read."""
    at, text = _column(hdus, rng), rng.choice(TABLE_CARDS)
    text = text.format(n=rng.randint(1, 12))
    _set(hdus[at][0], text[:10].rstrip("= ").ljust(8) + text[text.index("=") :])
    return f"HDU {at}: {' '.join(text.split())}"


def _any_card(hdus: Hdus, rng: random.Random) -> str:
    """Put a card in the place of another, or insert it."""
    at, text = rng.randrange(len(hdus)), rng.choice(CARDS)
    cards = hdus[at][0]
    place = rng.randrange(max(len(cards) - 1, 1))
    if rng.random() < 0.5:
        cards.insert(place, card(text))
        return f"HDU {at}: {text!r} inserted at {place}"
    cards[place] = card(text)
    return f"HDU {at}: card {place} is {text!r}"


def _odd_form(hdus: Hdus, rng: random.Random) -> str:
    """Insert a card whose form is not of the standard."""
    at = _column(hdus, rng) if rng.random() < 0.7 else rng.randrange(len(hdus))
    key, value = rng.choice(VALUES + OF_COLUMNS + OF_COLUMNS)
    form = rng.choice(FORMS)
    cards = hdus[at][0]
    widths = _widths(cards)
    # Mostly of the columns that take the most room: flux and its errors, in a file of spectra.
    widest = sorted(widths, key=lambda column: widths[column])[-2:] or [1]
    column = rng.choice(widest) if rng.random() < 0.7 else rng.randint(1, 16)
    text = odd(form, key.format(n=column), value)
    cards.insert(rng.choice([min(10, len(cards) - 1), len(cards) - 1]), card(text))
    return f"HDU {at}: odd form {text!r}"


def _lost_end(hdus: Hdus, rng: random.Random) -> str:
    """Lose an END card: what follows seems to be cards."""
    at = rng.choice([len(hdus) - 1, rng.randrange(len(hdus))])
    hdus[at][0][-1] = card("")
    return f"HDU {at}: without its END"


def _lost_card(hdus: Hdus, rng: random.Random) -> str:
    at = rng.randrange(len(hdus))
    lost = hdus[at][0].pop(rng.randrange(len(hdus[at][0])))
    return f"HDU {at}: without {lost[:30].decode('latin-1').strip()!r}"


def _doubled_card(hdus: Hdus, rng: random.Random) -> str:
    at = rng.randrange(len(hdus))
    cards = hdus[at][0]
    first = rng.randrange(len(cards))
    cards.insert(rng.randrange(len(cards)), cards[first])
    return f"HDU {at}: {cards[first][:8].decode('latin-1').strip()} twice"


def _header_byte(hdus: Hdus, rng: random.Random) -> str:
    at = rng.randrange(len(hdus))
    cards = hdus[at][0]
    place = rng.randrange(len(cards))
    changed = bytearray(cards[place])
    changed[rng.randrange(len(changed))] = rng.randrange(256)
    cards[place] = bytes(changed)
    return f"HDU {at}: a byte of card {place}"


def _order(hdus: Hdus, rng: random.Random) -> str:
    """Drop, repeat, exchange or move HDUs."""
    first, second = rng.randrange(1, len(hdus)), rng.randrange(1, len(hdus))
    how = rng.choice(["dropped", "repeated", "exchanged", "moved"])
    if how == "dropped":
        del hdus[first]
    elif how == "repeated":
        hdus.insert(second, (list(hdus[first][0]), hdus[first][1]))
    elif how == "exchanged":
        hdus[first], hdus[second] = hdus[second], hdus[first]
    else:
        hdus.insert(second, hdus.pop(first))
    return f"HDU {first} {how} ({second})"


def _data_moved(hdus: Hdus, rng: random.Random) -> str:
    """Lose or insert bytes between a header and its data."""
    at, number = rng.randrange(len(hdus)), rng.choice([1, 4, 80, BLOCK])
    cards, data = hdus[at]
    hdus[at] = (cards, data[number:] if rng.random() < 0.5 else bytes(number) + data)
    return f"HDU {at}: data moved by {number} bytes"


def _variable(hdus: Hdus, rng: random.Random) -> str:
    """Make a column of 8 or 16 bytes one of variable length, with lengths and places that may be anything."""
    at = _column(hdus, rng)
    cards, data = hdus[at]
    widths = _widths(cards)
    columns = [column for column, width in widths.items() if width in (8, 16)]
    if not columns:
        return _format(hdus, rng)
    column = rng.choice(columns)
    width, form = widths[column], rng.choice("BIJEDA")
    _set(cards, f"TFORM{column}".ljust(8) + f"= '1{'P' if width == 8 else 'Q'}{form}'")
    heap = rng.choice([0, 8, 2**20, 2**31 - 1, 2**40])
    _set(cards, f"{'PCOUNT':8}= {heap:>20}")
    row, before = sum(widths.values()), sum(width for other, width in widths.items() if other < column)
    changed = bytearray(data)
    for start in range(before, len(changed) - width, row):
        number, place = rng.choice([0, 9, 2**20, 2**28, 2**31 - 1]), rng.choice([0, 8, 2**20, 2**31 - 1])
        changed[start : start + width] = number.to_bytes(width // 2, "big") + place.to_bytes(width // 2, "big")
    hdus[at] = (cards, bytes(changed))
    return f"HDU {at}: TFORM{column} of variable length, heap of {heap} bytes"


def _widths(cards: list[bytes]) -> dict[int, int]:
    """Return the bytes of each column of a table."""
    sizes = {"L": 1, "B": 1, "A": 1, "I": 2, "J": 4, "E": 4, "K": 8, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16}
    widths = {}
    for text in cards:
        if match := re.match(rb"TFORM(\d+) *= '(\d*)([LBAIJEKDCMPQ])", text):
            widths[int(match[1])] = int(match[2] or 1) * sizes[match[3].decode()]
    return dict(sorted(widths.items()))


STRUCTURE: tuple[Callable[[Hdus, random.Random], str], ...] = (
    _number,
    _number,
    _format,
    _variable,
    _table_card,
    _any_card,
    _odd_form,
    _odd_form,
    _lost_end,
    _lost_card,
    _doubled_card,
    _header_byte,
    _order,
    _data_moved,
)


def mutate_fits(content: bytes, rng: random.Random) -> tuple[bytes, str, bool]:
    """Mutate a sound FITS file. Return it, what was done, and whether values in its data may have changed."""
    if rng.random() < 0.25:
        changed, what = mutate_bytes(content, rng)
        return changed, what, True
    hdus = split(content)
    mutation = rng.choice(STRUCTURE)
    what = mutation(hdus, rng)
    return joined(hdus), what, False


def _column(hdus: Hdus, rng: random.Random) -> int:
    """Return the number of a table, if there is one."""
    tables = [at for at, (cards, _) in enumerate(hdus) if cards[0].startswith(b"XTENSION= 'BINTABLE'")]
    return rng.choice(tables) if tables else rng.randrange(len(hdus))


def _set(cards: list[bytes], text: str) -> None:
    """Set a card by its keyword, or add it before END."""
    new = card(text)
    for place, old in enumerate(cards):
        if old[:8] == new[:8]:
            cards[place] = new
            return
    cards.insert(max(len(cards) - 1, 0), new)
