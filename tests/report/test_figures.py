"""Sections of figures show what a run knows, and name what it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from apnet_fast.report.figures import figure_sections
from apnet_fast.report.page import Section
from apnet_fast.report.run_folder import Quarantine, RunFolder, read_run
from tests.report.runs import RECORD, run_folder

pytestmark = pytest.mark.usefixtures("quick")


def sections(run: RunFolder) -> dict[str, Section]:
    return {each.key: each for each in figure_sections(run, "not tried")}


def test_bars_have_the_counts_of_flags(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path, RECORD))
    stars, visits = sections(run)["flags"].bars
    assert visits.title.startswith("Visits")
    summary, bit, unknown = stars.bars
    rows = run.catalogues[0].rows
    assert (summary.name, summary.kind, summary.share) == ("flag_warn", "warn", 1.0)
    assert bit.name == "E_TEFF_LARGE"
    assert bit.value.startswith("3  (")
    assert f"{100 * 3 / rows:.1f} %" in bit.value
    assert unknown.name == "bit 20, not in the table"
    assert unknown.share == pytest.approx(1 / 3)
    assert "Never set: TEFF_UNRELIABLE" in stars.note
    assert "E_TEFF_LARGE" not in stars.note


def test_failures_are_bars_by_reason(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path, RECORD))
    reasons = {("star", "no_data"): 2, ("star", "truncated"): 8, ("visit", "no_data"): 4}
    stars, visits = sections(replace(run, quarantine=Quarantine(reasons, [])))["failures"].bars
    assert [(bar.name, bar.value, bar.share) for bar in stars.bars] == [("truncated", "8", 1.0), ("no_data", "2", 0.25)]
    assert visits.title == "Visits: 4 by reason"
    assert "every spectrum has a result" in sections(replace(run, quarantine=Quarantine({}, [])))["failures"].text


def test_both_products_have_a_kiel_diagram(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path, RECORD))
    found = sections(run)
    assert [picture.caption.split(":")[0] for picture in found["kiel"].pictures] == ["Stars (coadds)", "Visits"]
    assert found["repeats"].text == "No z-scores: not tried"
    assert found["rate"].pictures[0].narrow
    assert not sections(replace(run, catalogues=[]))["sky"]
