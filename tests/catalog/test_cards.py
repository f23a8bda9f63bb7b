"""Cards of FITS headers, as astropy reads them."""

from __future__ import annotations

import pytest
from astropy.io import fits

from apnet_fast.catalog.cards import comment_card, header_blocks, title_cards, value_card


def read(cards: list[str]) -> fits.Card:
    return fits.Header.fromstring(header_blocks(cards)).cards[0]


@pytest.mark.parametrize(
    "value",
    ["", "dr19", "it's", "''", "&", "x" * 68, "x" * 69, "'" * 40, "ab' & c " * 60, 0, -7, 2**40, 1.5, 1e-300, True],
)
def test_values_come_back(value: str | int | float | bool) -> None:
    cards = value_card("KEY", value, "what it is")
    assert all(len(card) == 80 for card in cards)
    assert read(cards).value == (value.rstrip() if isinstance(value, str) else value)
    assert type(read(cards).value) is type(value)


@pytest.mark.parametrize("value", ["short", "long " * 45, 3])
def test_comment_stands_on_the_last_card(value: str | int) -> None:
    assert read(value_card("KEY", value, "what it is")).comment == "what it is"


def test_value_of_fixed_format_ends_in_column_30() -> None:
    assert value_card("NAXIS", 2, "number of axes") == [f"NAXIS   = {2:>20} / number of axes".ljust(80)]
    assert value_card("TTYPE1", "ra", "x") == ["TTYPE1  = 'ra      '           / x".ljust(80)]


def test_characters_beyond_ascii_become_question_marks() -> None:
    card = read(value_card("KEY", "na\N{LATIN SMALL LETTER I WITH DIAERESIS}ve\n", "\N{DEGREE SIGN}"))
    assert (card.value, card.comment) == ("na?ve?", "?")


def test_comments_are_cut_where_the_card_ends() -> None:
    assert value_card("KEY", 1, "c" * 90) == [f"KEY     = {1:>20} / {'c' * 47}"]
    assert comment_card("c" * 90) == "COMMENT " + "c" * 72


def test_title_stands_between_blank_cards() -> None:
    blank = " " * 80
    assert title_cards("Metadata") == [blank, "        Metadata".ljust(80), blank]


@pytest.mark.parametrize(("cards", "blocks"), [(0, 1), (35, 1), (36, 2), (71, 2), (72, 3)])
def test_header_has_whole_blocks(cards: int, blocks: int) -> None:
    header = header_blocks([comment_card(str(i)) for i in range(cards)])
    assert len(header) == 2880 * blocks
    assert header[80 * cards : 80 * cards + 3] == b"END"


def test_what_no_card_can_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 8 characters"):
        value_card("NINELONG1", 1)
    with pytest.raises(ValueError, match="cannot hold nan"):
        value_card("KEY", float("nan"))
