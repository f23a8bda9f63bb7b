"""Format cards of FITS headers, 80 characters each.

Definition: FITS standard 4.0, sections 4.1, 4.2 (fixed format) and 4.2.1.2 (CONTINUE).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apnet_fast.spectra.extension import BLOCK

# One card: keyword, value, comment.
Card = tuple[str, str | int | float | bool, str]

_WIDTH = 80
# Characters of a text value on one card, quotes included; a text that goes on ends in "&".
_TEXT = 70


def value_card(keyword: str, value: str | int | float | bool, comment: str = "") -> list[str]:
    """Return a card with a value; a text too long for one card goes on in CONTINUE cards.

    Characters beyond ASCII, which FITS does not know, become question marks. A comment is cut where the card ends.
    Raises ValueError for a keyword of more than 8 characters and for a number that is not finite.
    """
    if len(keyword) > 8:
        raise ValueError(f"a FITS keyword has at most 8 characters: {keyword!r}")
    values = list(_quoted(value)) if isinstance(value, str) else [f"{_number(value):>20}"]
    cards = [f"{keyword:8}= {values[0]:20}", *(f"CONTINUE  {text:20}" for text in values[1:])]
    if comment:
        cards[-1] += f" / {_printable(comment)}"
    return [card[:_WIDTH].ljust(_WIDTH) for card in cards]


def comment_card(text: str) -> str:
    """Return a COMMENT card; text beyond its end is cut."""
    return f"COMMENT {_printable(text)}"[:_WIDTH].ljust(_WIDTH)


def title_cards(title: str) -> list[str]:
    """Return the title of a group of cards, between blank ones."""
    blank = " " * _WIDTH
    return [blank, f"{'':8}{title}".ljust(_WIDTH), blank]


def header_blocks(cards: Iterable[str]) -> bytes:
    """Return a header of whole blocks: the cards, END, blanks."""
    text = "".join([*cards, "END".ljust(_WIDTH)])
    return text.ljust(-(-len(text) // BLOCK) * BLOCK).encode("ascii")


def _quoted(text: str) -> Iterator[str]:
    """Yield a text as values between quotes; each but the last ends in "&"."""
    room = _TEXT - 3  # the quotes and "&"
    piece = ""
    characters = _printable(text).replace("'", "''")
    if len(characters) <= _TEXT - 2:
        yield f"'{characters:8}'"
        return
    for character in _printable(text):
        written = "''" if character == "'" else character
        if len(piece) + len(written) > room:
            yield f"'{piece}&'"
            piece = ""
        piece += written
    yield f"'{piece}'"


def _number(value: int | float | bool) -> str:
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, int):
        return str(value)
    if value - value != 0:
        raise ValueError(f"a FITS card cannot hold {value}")
    return repr(value).upper()


def _printable(text: str) -> str:
    return "".join(character if " " <= character <= "~" else "?" for character in text)
