"""Flags are compared bit by bit, and named if both catalogues use the same table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apnet_fast.validate.compare import compare_catalogues
from apnet_fast.validate.transitions import flag_table_name
from tests.validate.catalogues import changed, visit_table, written


@pytest.fixture
def a(tmp_path: Path) -> Path:
    """A catalogue to compare others with."""
    return written(visit_table(0, stars=60), tmp_path / "a.parquet")


def test_flags_bit_by_bit(a: Path, tmp_path: Path) -> None:
    table = visit_table(0, stars=60)
    flags = np.zeros(len(table), dtype=np.int64)
    flags[:3], flags[7] = 64, 1 << 20
    before = written(changed(table, result_flags=np.where(np.arange(len(table)) < 2, 65, 0)), tmp_path / "c.parquet")
    after = written(changed(table, result_flags=flags, flag_warn=flags > 0), tmp_path / "b.parquet")
    moved = {
        one.flag: (one.both, one.only_a, one.only_b, one.neither) for one in compare_catalogues(before, after).flags
    }
    rest = len(table)
    assert moved["0 TEFF_UNRELIABLE"] == (0, 2, 0, rest - 2)
    assert moved["6 E_TEFF_LARGE"] == (2, 0, 1, rest - 3)
    assert moved["bit 20"] == (0, 0, 1, rest - 1)
    assert moved["flag_warn"] == (0, 0, 4, rest - 4)
    assert moved["11 NO_RESULT"] == (0, 0, 0, rest)


def test_bits_of_different_tables_are_not_compared(a: Path, tmp_path: Path) -> None:
    b = written(visit_table(0, stars=60), tmp_path / "b.parquet", flag_table="astra-0.6")
    found = compare_catalogues(a, b)
    assert [one.flag for one in found.flags] == ["flag_warn", "flag_bad"]
    assert "page in A, astra-0.6 in B" in found.text()


def test_bits_have_names_only_if_both_tables_are_the_same(a: Path, tmp_path: Path) -> None:
    table = changed(visit_table(0, stars=60), result_flags=np.arange(len(visit_table(0, stars=60))) % 2)
    page = written(table, tmp_path / "page.parquet")
    silent = written(table, tmp_path / "silent.parquet", flag_table="")
    mine = written(table, tmp_path / "mine.parquet", flag_table="mine")
    masks = ["flag_warn", "flag_bad"]
    for pair, said in (((page, silent), "A uses table page, and B names none"), ((silent, page), "B uses table page")):
        found = compare_catalogues(*pair)
        assert [one.flag for one in found.flags] == [*masks, "bit 0"]
        assert said in found.text()
    for each, said in ((silent, "neither catalogue names its table"), (mine, "does not know their table mine")):
        found = compare_catalogues(each, each)
        assert [one.flag for one in found.flags] == [*masks, "bit 0"]
        assert said in found.text()
    assert "page in A, mine in B" in compare_catalogues(page, mine).note
    assert compare_catalogues(page, page).note == ""


@pytest.mark.parametrize(
    ("cards", "name"),
    [
        ({"V_ASTRA": "0.6.0", "PIPELINE": "ApogeeNet"}, "3 UNRELIABLE_FE_H"),
        ({"V_ASTRA": "0.6.0", "PIPELINE": "ApogeeNetV2"}, "3 E_TEFF_UNRELIABLE"),
        ({"V_ASTRA": "", "PIPELINE": "ApogeeNetV2"}, None),
    ],
)
def test_released_files_have_the_table_of_their_pipeline(
    cards: dict[str, str], name: str | None, tmp_path: Path
) -> None:
    released = written(visit_table(0, stars=60), tmp_path / "r.parquet", flag_table="", **cards)
    flags = [one.flag for one in compare_catalogues(released, released).flags]
    assert flags == ["flag_warn", "flag_bad"] if name is None else name in flags


def test_the_card_names_the_table() -> None:
    assert flag_table_name({"FLAGTAB": "page", "V_ASTRA": "0.6.0"}) == "page"
    assert flag_table_name({"V_ASTRA": "0.7.0"}) == ""
