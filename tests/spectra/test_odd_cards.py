"""Cards that only some readers obey are found, and cards of the standard are not taken for such."""

from __future__ import annotations

import pytest

from apnet_fast.spectra.odd_cards import odd_card

HEADER = (
    "XTENSION= 'IMAGE   '",
    "BITPIX  =                  -32",
    "PCOUNT  =                    0",
    "BUNIT   = 'Flux'",
)


def header(*cards: str) -> bytes:
    content = b"".join(text.ljust(80).encode("latin-1") for text in (*HEADER, *cards, "END"))
    return content.ljust(2880)


@pytest.mark.parametrize(
    "card",
    [
        "HIERARCH PCOUNT = 1", "HIERARCH  PCOUNT= 1", "HIERARCH pcount=1", "HIERARCH TSCAL13 = 2.0", "PCOUNT = 1",
        "PCOUNT= 1", "PCOUNT=1", "PCOUNT  == 1", "PCOUNT   = 1", "PCOUNT  =1", "bscale  =                  2.0",
        "BSCALE                     2.0", "BSCALE  : 2.0", "BSCALE\0 = 2.0", "BSCALE X= 2.0", "END     = 1", "END x",
        "HIERARCH END = 1", "HIERARCH ZSCALE = 2.0", "HIERARCH NAXIS2 = 3", "TFORM3 = '1J'", "EXTNAME",
    ],
)  # fmt: skip
def test_odd_forms_of_cards_that_matter(card: str) -> None:
    assert odd_card(header("CHECKED =                    1", card, "COMMENT abc")) == card


@pytest.mark.parametrize(
    "card",
    [
        "PCOUNT  =                    0", "BSCALE  =                  2.0", "HIERARCH ESO PCOUNT = 1",
        "HIERARCH a b = 2", "HIERARCH PCOUNT 1", "HIERARCH BSCALES = 2", "COMMENT PCOUNT = 1", "HISTORY BSCALE = 2",
        "        BSCALE = 2.0",
        " PCOUNT = 1", "", "CONTINUE  'abc'", "VHELIO1 =                  5.0", "SNR = 5", "ENDING = 1", "T5      = 2",
        "\xff\xfe", "=", "TSCALE  =                  2.0", "ZEROES = 5", "\0BSCALE = 2.0",
    ],
)  # fmt: skip
def test_other_cards_are_left_alone(card: str) -> None:
    assert odd_card(header(card)) == ""


def test_what_follows_the_end_is_no_card() -> None:
    assert odd_card(header()[: 5 * 80] + header("HIERARCH PCOUNT = 1")) == ""
    without_end = header("HIERARCH PCOUNT = 1")[: 5 * 80]
    assert odd_card(without_end) == "HIERARCH PCOUNT = 1"
    assert odd_card(without_end[: 4 * 80]) == odd_card(b"") == ""
