"""A run is compared with earlier catalogues of the same products."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apnet_fast.report.comparison import compare_with, comparison_figures, comparison_tables
from apnet_fast.report.run_folder import read_run
from apnet_fast.support.errors import UsageError
from tests.report.runs import RECORD, run_folder, spectra
from tests.validate.catalogues import changed, written

STARS = "astraAllStarAPOGEENet-0.1.0.parquet"


def test_a_folder_stands_for_both_products_and_a_file_for_its_own(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path / "new", RECORD))
    old = run_folder(tmp_path / "old", RECORD, seed=1)
    both = compare_with(run.catalogues, [old])
    assert [each.product for each in both] == ["star", "visit"]
    assert both[0].result.common == run.catalogues[0].rows
    (stars,) = compare_with(run.catalogues, [old / STARS])
    assert stars.product == "star"
    assert compare_with(run.catalogues, []) == []


def test_changes_are_in_the_tables_and_unchanged_flags_are_not(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path / "new", RECORD))
    table = spectra(0, stars=60)
    logg = table["logg"].to_numpy() - 0.25
    flags = np.zeros(len(table), dtype=np.int64)
    flags[:2] = 1
    old = written(changed(table, logg=logg, result_flags=flags), tmp_path / "old.parquet", PRODUCT="star")
    labels, changes, worst = comparison_tables(compare_with(run.catalogues, [old])).tables
    assert labels.rows[1][2] == "0.250"
    assert labels.rows[2][2] == "0.000"
    assert "same spectra" in labels.note
    assert {row[0] for row in changes.rows} == {"flag_warn", "0 TEFF_UNRELIABLE", "6 E_TEFF_LARGE", "bit 20"}
    assert worst.folded
    assert len(worst.rows) == 10


@pytest.mark.usefixtures("quick")
def test_each_comparison_has_a_picture(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path / "new", RECORD))
    section = comparison_figures(compare_with(run.catalogues, [run_folder(tmp_path / "old", RECORD, seed=1)]))
    assert len(section.pictures) == 2
    assert "Median ± robust scatter: teff" in section.pictures[0].alt


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path / "new", RECORD))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no catalogue in this folder"):
        compare_with(run.catalogues, [tmp_path / "empty"])
    table = spectra(0, stars=20)
    unknown = written(table.drop_columns(["mjd"]), tmp_path / "unknown.parquet")
    with pytest.raises(UsageError, match="of stars or of visits"):
        compare_with(run.catalogues, [unknown])
    other = changed(table, identity=[f"x{row}" for row in range(len(table))])
    with pytest.raises(UsageError, match="no spectrum in common"):
        compare_with(run.catalogues, [written(other, tmp_path / "other.parquet", PRODUCT="star")])
    with pytest.raises(UsageError, match="no catalogue of visits"):
        compare_with(run.catalogues[:1], [tmp_path / "new" / STARS.replace("Star", "Visit")])
