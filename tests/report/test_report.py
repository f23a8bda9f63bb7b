"""The report of a run holds everything, needs nothing else, and names cannot break it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.report.report import report_of
from apnet_fast.support.errors import UsageError
from tests.report.html_pages import checked
from tests.report.runs import RECORD, run_folder, spectra
from tests.validate.catalogues import changed, written

FIGURES = [
    "Kiel diagrams",
    "Sky",
    "Labels",
    "Errors and S/N",
    "Errors against repeated visits",
    "Flags",
    "Spectra without a result",
    "Rate over time",
]
TABLES = ["Counts and labels", "Repeated visits", "Stages", "Failures one by one"]


@pytest.mark.usefixtures("quick")
def test_everything_is_in_it_and_figures_come_first(tmp_path: Path) -> None:
    page = checked(report_of(run_folder(tmp_path, RECORD)))
    titles = [*FIGURES, *TABLES]
    # Each is in the navigation and above its section.
    assert [word for word in page.words if word in titles] == titles * 2
    assert "Provenance (run.json)" in page.words
    assert len(page.alts) == 7
    assert all(page.alts)


@pytest.mark.usefixtures("quick")
def test_a_reason_that_both_products_have_counts_once(tmp_path: Path) -> None:
    run_folder(tmp_path, RECORD)
    table = pq.read_table(tmp_path / "quarantine.parquet")
    others = [changed(table, product=["visit"]), changed(table, reason=["truncated"])]
    rows = pa.concat_tables([table, *(each.cast(table.schema) for each in others)])
    pq.write_table(rows, tmp_path / "quarantine.parquet")
    words = checked(report_of(tmp_path)).words
    box = words.index("without a result")
    assert words[box + 1 : box + 3] == ["3", "2 reasons"]


@pytest.mark.slow
def test_the_same_run_gives_the_same_report(tmp_path: Path) -> None:
    """Every figure is drawn, and none of its bytes depends on the time."""
    run_folder(tmp_path, RECORD)
    text = report_of(tmp_path)
    assert all(len(load) > 10_000 for load in checked(text).loads)
    assert report_of(tmp_path) == text


@pytest.mark.usefixtures("quick")
def test_names_and_texts_are_escaped(tmp_path: Path) -> None:
    page = checked(report_of(run_folder(tmp_path, RECORD)))
    assert not {"script", "b"} & page.tags
    assert '/a/<b>&"c".fits' in page.words
    assert "<img src=x>" in page.words
    assert "<script>alert(1)</script>" in page.words


@pytest.mark.usefixtures("quick")
def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    run_folder(tmp_path, {})
    for path in [*tmp_path.glob("astraAllVisit*"), tmp_path / "quarantine.parquet"]:
        path.unlink()
    text = report_of(tmp_path)
    page = checked(text)
    assert "repeated visits" not in text
    assert "Stages" not in page.words
    assert "The list of failures is not there." in page.words


@pytest.mark.usefixtures("quick")
def test_a_catalogue_without_labels_still_has_a_report(tmp_path: Path) -> None:
    run_folder(tmp_path, RECORD)
    table = spectra(0, stars=5)
    for product in ("Star", "Visit"):
        nothing = changed(table, teff=np.full(len(table), np.nan))
        written(nothing, tmp_path / f"astraAll{product}APOGEENet-0.1.0.parquet")
    text = report_of(tmp_path)
    checked(text)
    assert "no diagram, no row has labels" in text
    assert "No row has labels." in text
    assert "No z-scores: no star has two spectra" in text


def test_folders_without_a_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no finished run"):
        report_of(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UsageError, match="cannot read the record"):
        report_of(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps([]))
    with pytest.raises(UsageError, match="not the record"):
        report_of(tmp_path)
