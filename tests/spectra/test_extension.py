"""Plain extension headers are understood; anything unusual about one is not."""

from __future__ import annotations

import pytest

from apnet_fast.spectra.extension import BLOCK, CARD, END, Extension, find_end, form_bytes, parse_extension

IMAGE = [
    "XTENSION= 'IMAGE   '           / IMAGE extension",
    "BITPIX  =                  -64 / number of bits per data pixel",
    "NAXIS   =                    2",
    "NAXIS1  =                 8575",
    "NAXIS2  =                    3",
    "PCOUNT  =                    0",
    "GCOUNT  =                    1",
    "CRVAL1  =                4.179 / start",
    "BUNIT   = 'Flux (10^-17 erg/s/cm^2/Ang)'",
    "COMMENT anything",
]
TABLE = [
    "XTENSION= 'BINTABLE'",
    "BITPIX  =                    8",
    "NAXIS   =                    2",
    "NAXIS1  =                   14",
    "NAXIS2  =                    5",
    "PCOUNT  =                    0",
    "GCOUNT  =                    1",
    "TFIELDS =                    2",
    "TTYPE1  = 'a       '",
    "TFORM1  = '10A     '",
    "TFORM2  = 'J       '",
]


def header(cards: list[str]) -> bytes:
    text = b"".join(card.ljust(CARD).encode() for card in cards) + END
    return text.ljust(-(-len(text) // BLOCK) * BLOCK)


def test_an_image() -> None:
    bunit = "Flux (10^-17 erg/s/cm^2/Ang)"
    assert parse_extension(header(IMAGE)) == Extension(True, -64, (8575, 3), BLOCK, 72 * BLOCK, bunit)
    named = parse_extension(header([*IMAGE, "EXTNAME = 'O''FLUX  '"]))
    assert named is not None
    assert (named.bunit, named.extname) == (bunit, "O'FLUX")


def test_a_table() -> None:
    assert parse_extension(header(TABLE)) == Extension(False, 8, (14, 5), BLOCK, BLOCK)


@pytest.mark.parametrize(
    ("cards", "place", "card"),
    [
        (IMAGE, 1, "BITPIX  =                  -63"),
        (IMAGE, 2, "NAXIS   =                    1"),
        (IMAGE, 2, "NAXIS   =  1000000000000000000"),
        (IMAGE, 2, "NAXIS2  =  1000000000000000000"),
        (IMAGE, 3, "NAXIS1  =               8575.0"),
        (IMAGE, 5, "PCOUNT  =                    1"),
        (IMAGE, 7, "BSCALE  =                  1.0"),
        (IMAGE, 7, "NAXIS2  =                    3"),
        (IMAGE, 7, "ZIMAGE  =                    T"),
        (IMAGE, 7, "CRVAL1  = 'no end"),
        (IMAGE, 7, "CRVAL1    4.179"),
        (IMAGE, 7, "END     x"),
        (IMAGE, 7, "EXTNAME =                    5"),
        (IMAGE, 7, "BUNIT   = 'Err'"),
        (IMAGE, 7, "COMMENT \x01"),
        (TABLE, 7, "TFIELDS =  1000000000000000000"),
        (TABLE, 8, "TSCAL1  =                  2.0"),
        (TABLE, 8, "TFORM1  = '10A     '"),
        (TABLE, 8, "TFORM   = '10A     '"),
        (TABLE, 9, "TFORM1  = '11A     '"),
        (TABLE, 9, "TFORM3  = '10A     '"),
        (TABLE, 10, "TFORM2  = '1PJ     '"),
    ],
)
def test_what_is_unusual_is_not_understood(cards: list[str], place: int, card: str) -> None:
    assert parse_extension(header([*cards[:place], card, *cards[place + 1 :]])) is None


def test_where_a_header_ends() -> None:
    whole = header(IMAGE * 5)
    assert find_end(whole) == find_end(whole + header(IMAGE)) == len(whole) == 2 * BLOCK
    assert find_end(whole[:-1]) == 0
    assert find_end(b"") == find_end(bytes(BLOCK)) == 0
    # An END inside of another card is none.
    assert find_end((b" " * 40 + END).ljust(BLOCK)) == 0


@pytest.mark.parametrize(
    ("letter", "count", "expected"),
    [
        ("E", 8575, 34_300),
        ("A", 30, 30),
        ("X", 8, 1),
        ("X", 9, 2),
        ("X", 0, 0),
        ("M", 2, 32),
        ("P", 1, 8),
        ("Q", 1, 16),
    ],
)
def test_bytes_of_a_field(letter: str, count: int, expected: int) -> None:
    assert form_bytes(letter, count) == expected
