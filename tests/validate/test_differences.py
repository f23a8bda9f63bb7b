"""The figure of differences shows common rows, and counts those beyond its panels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apnet_fast.validate.compare import COMPARED
from apnet_fast.validate.differences import draw_differences
from apnet_fast.validate.matched_rows import MatchedRows, match_rows
from tests.validate.catalogues import changed, visit_table, written


def matched(tmp_path: Path, **columns: object) -> MatchedRows:
    table = visit_table(0, stars=200)
    a = written(table, tmp_path / "a.parquet")
    return match_rows(a, written(changed(table, **columns), tmp_path / "b.parquet"), COMPARED)


@pytest.mark.parametrize("columns", [3, 1])
def test_an_offset_and_its_outliers_are_shown(tmp_path: Path, columns: int) -> None:
    table = visit_table(0, stars=200)
    rng = np.random.default_rng(0)
    logg = table["logg"].to_numpy() + 0.05 + 0.01 * rng.standard_normal(len(table))
    logg[0] += 3
    axes = draw_differences(matched(tmp_path, logg=logg), columns).axes[1]
    assert "+0.05" in axes.get_title()
    assert "beyond" in axes.get_title()
    low, high = axes.get_ylim()
    assert low == -high
    assert 0.05 < high < 0.2


def test_labels_that_only_one_has_are_left_out(tmp_path: Path) -> None:
    teff = visit_table(0, stars=200)["teff"].to_numpy().copy()
    teff[:] = np.nan
    axes = draw_differences(matched(tmp_path, teff=teff)).axes[0]
    assert [text.get_text() for text in axes.texts] == ["no common values"]


def test_flagged_rows_are_grey(tmp_path: Path) -> None:
    rows = len(visit_table(0, stars=200))
    grey, blue = draw_differences(matched(tmp_path, flag_bad=np.arange(rows) < 30)).axes[2].lines[1:3]
    assert sorted((len(grey.get_xdata()), len(blue.get_xdata()))) == [30, rows - 30]
