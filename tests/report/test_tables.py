"""Tables of a report have no rows of zeros."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from apnet_fast.report.page import Section
from apnet_fast.report.run_folder import read_run
from apnet_fast.report.tables import provenance, table_sections
from apnet_fast.validate.repeats import validate_repeats
from tests.report.runs import RECORD, run_folder


def sections(folder: Path, repeats: object = None, **record: object) -> dict[str, Section]:
    run = read_run(folder)
    run = replace(run, record=run.record | record)
    return {each.key: each for each in table_sections(run, repeats)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stages", "head", "rows"),
    [
        ({"reading": {"busy": 2.0, "waiting": 7.5}}, ["", "busy [s]", "waiting [s]"], [("reading", "2", "7.5")]),
        ({"reading": {"busy": 2.0}, "writing": 3.0}, ["", "busy [s]"], [("reading", "2"), ("writing", "3")]),
        ({"reading": None, "engine": 1.0}, ["", "seconds"], [("engine", "1")]),
        (
            {"planning": {"busy": 0.0, "waiting": 0}, "engine": {"busy": 1.0}},
            ["", "busy [s]", "waiting [s]"],
            [("engine", "1", "0")],
        ),
    ],
    ids=str,
)
def test_stages_in_any_shape(stages: dict[str, object], head: list[str], rows: list[tuple], tmp_path: Path) -> None:
    (table,) = sections(run_folder(tmp_path, RECORD), stage_seconds=stages)["stages"].tables
    assert list(table.head) == head
    assert list(table.rows) == rows


def test_labels_have_medians_and_errors(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, RECORD)
    counts, stars, _ = sections(folder)["counts"].tables
    assert [row[0] for row in counts.rows] == ["Stars (coadds)", "Visits"]
    teff = stars.rows[0]
    assert teff[0] == "teff"
    assert abs(float(teff[1]) - 4800) < 200
    assert float(teff[5]) == pytest.approx(1.25 * float(teff[4]) + 10, abs=0.2)


def test_repeats_are_in_two_tables(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, RECORD)
    report = validate_repeats(folder / "astraAllVisitAPOGEENet-0.1.0.parquet", bootstrap=10)
    found = sections(folder, report)["repeats-numbers"]
    scores, model = found.tables
    assert [row[0] for row in scores.rows] == ["teff", "logg", "fe_h"]
    assert scores.rows[0][1] == str(report.labels[0].pairs)
    assert model.rows[0][1] == "1.25 raw + 10 K"
    assert f"repeats of {report.stars} stars" in found.text
    unknown = replace(report.labels[0], scale=replace(report.labels[0].scale, value=np.nan))
    apart = sections(folder, replace(report, labels=(unknown,)))["repeats-numbers"].tables[1]
    assert apart.rows[0][2] == "not separable"


def test_many_failures_are_counted_and_some_shown(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, RECORD, failures=1500)
    (table,) = sections(folder)["quarantine"].tables
    assert table.caption.startswith("The first 20 of 1,500")
    assert len(table.rows) == 20
    assert table.folded


def test_provenance_is_flat_and_folded() -> None:
    unknown = {"none": None, "empty": [], "stage_seconds": {"x": 1}}
    table = provenance({"a": {"b": {"c": 1}}, "list": list(range(30)), **unknown})
    assert list(table.rows) == [("a.b.c", "1"), ("list", ", ".join(map(str, range(20))) + " and 10 more")]
    assert table.folded
