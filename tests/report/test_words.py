"""Numbers are written in one way."""

from __future__ import annotations

import math

import pytest

from apnet_fast.report.words import count, number, percent, share


def test_numbers_have_the_decimals_of_their_label() -> None:
    assert number(4800.26, "teff") == "4800.3"
    assert number(-0.1842, "fe_h") == "\N{MINUS SIGN}0.184"
    assert number(0.000123456) == "0.0001235"
    assert number(math.nan, "logg") == "\N{EN DASH}"
    assert count(1_122_317) == "1,122,317"


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(0, 10, "0.0 %"), (1, 3, "33.3 %"), (3, 1_000_000, "0.0003 %"), (1, 1000, "0.1 %"), (0, 0, "\N{EN DASH}")],
)
def test_few_are_never_none(part: int, whole: int, expected: str) -> None:
    assert share(part, whole) == expected
    assert percent(math.nan) == "\N{EN DASH}"
