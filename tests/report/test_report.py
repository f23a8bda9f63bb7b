"""The report of a run: everything is in it, nothing outside it is needed, and names cannot break it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from apnet_fast.catalog.rows import QUARANTINE_SCHEMA
from apnet_fast.report.__main__ import app
from apnet_fast.report.report import report_of
from apnet_fast.support.errors import UsageError
from tests.validate.catalogues import changed, visit_table, written

RECORD = {
    "software": "apnet_fast 0.1.0",
    "fingerprint": {"recipe": "dr19", "seed": 0},
    "files": 41,
    "rows": {"star": 1},
    "stage_seconds": {"reading": 2.5, "engine": 10.0},
    "skipped_files": {"older_versions": ["<script>alert(1)</script>"]},
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes a second, and most of a report is not about its figures."""
    monkeypatch.setattr("apnet_fast.report.report.figure_bytes", lambda figure, kind: b"drawn")


def run_folder(folder: Path, record: dict[str, object], *, failures: int = 1) -> Path:
    """A finished run: both catalogues, a quarantine, run.json."""
    table = visit_table(0, stars=60)
    flags = np.zeros(len(table), dtype=np.int64)
    flags[:3], flags[3] = 64, 1 << 20
    table = changed(table, result_flags=flags, flag_warn=flags == 64)
    for product in ("Star", "Visit"):
        written(table, folder / f"astraAll{product}APOGEENet-0.1.0.parquet")
    row = ("star", '/a/<b>&"c".fits', 1, 0, "no_data", "<img src=x>")
    columns = [pa.array([value] * failures, field.type) for value, field in zip(row, QUARANTINE_SCHEMA, strict=True)]
    pq.write_table(pa.Table.from_arrays(columns, schema=QUARANTINE_SCHEMA), folder / "quarantine.parquet")
    (folder / "run.json").write_text(json.dumps(record))
    return folder


class Checker(HTMLParser):
    """Fails on tags that are not closed; keeps attributes that load something, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loads += [str(value) for name, value in attrs if name in ("src", "href", "action", "srcset")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def checked(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    return checker


def test_everything_is_in_it_and_it_needs_nothing_else(tmp_path: Path) -> None:
    text = report_of(run_folder(tmp_path, RECORD))
    page = checked(text)
    headings = [re.sub("<.*?>", "", found) for found in re.findall("<h2>.*?</h2>", text)]
    assert headings == [
        "Counts",
        "Flags: Stars (coadds)",
        "Flags: Visits",
        "Kiel diagram: Stars (coadds)",
        "Errors against repeated visits",
        "Stages",
        "Spectra without a result",
        "Provenance",
    ]
    assert len(page.loads) == 2
    assert all(load.startswith("data:image/png;base64,") for load in page.loads)
    assert "@import" not in text
    words = page.words
    assert words[words.index("E_TEFF_LARGE") + 3] == "3"
    assert words[words.index("not in the table") + 1] == "1"
    assert "no_data" in words
    assert words[words.index("reading") + 1] == "2.5"


@pytest.mark.usefixtures("quick")
def test_names_and_texts_are_escaped(tmp_path: Path) -> None:
    text = report_of(run_folder(tmp_path, RECORD))
    page = checked(text)
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert '/a/<b>&"c".fits' in page.words
    assert "<img src=x>" in page.words


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ({"reading": {"busy": 2.0, "waiting": 7.5}}, ["busy [s]", "waiting [s]", "reading", "2", "7.5"]),
        ({"reading": {"busy": 2.0}, "writing": 3.0}, ["busy [s]", "reading", "2", "writing", "3"]),
        ({"reading": None, "engine": 1.0}, ["seconds", "reading", "0", "engine", "1"]),
    ],
    ids=str,
)
def test_stages_in_any_shape(stages: dict[str, object], expected: list[str], tmp_path: Path) -> None:
    page = checked(report_of(run_folder(tmp_path, RECORD | {"stage_seconds": stages})))
    words = [word for word in page.words if word.strip()]
    start = words.index("stage")
    assert words[start + 1 : start + 1 + len(expected)] == expected


@pytest.mark.usefixtures("quick")
def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    run_folder(tmp_path, {})
    for path in [*tmp_path.glob("astraAllVisit*"), tmp_path / "quarantine.parquet"]:
        path.unlink()
    text = report_of(tmp_path)
    checked(text)
    assert "repeated visits" not in text
    assert "<h2>Stages" not in text
    assert "The list of failures is not there." in text


@pytest.mark.usefixtures("quick")
def test_a_catalogue_without_labels_still_has_a_report(tmp_path: Path) -> None:
    run_folder(tmp_path, RECORD)
    table = changed(visit_table(0, stars=5), teff=np.full(len(visit_table(0, stars=5)), np.nan))
    for product in ("Star", "Visit"):
        written(table, tmp_path / f"astraAll{product}APOGEENet-0.1.0.parquet")
    text = report_of(tmp_path)
    checked(text)
    assert "No diagram: no row has labels" in text
    assert "No z-scores: no star has two spectra" in text


@pytest.mark.usefixtures("quick")
def test_many_failures_are_counted_and_some_shown(tmp_path: Path) -> None:
    text = report_of(run_folder(tmp_path, RECORD, failures=1500))
    assert "The first 20 of 1,500" in text
    assert text.count("&lt;img src=x&gt;") == 20


def test_the_command_line(tmp_path: Path) -> None:
    run_folder(tmp_path, RECORD)
    done = CliRunner().invoke(app, [str(tmp_path), "--output", str(tmp_path / "r.html")])
    assert done.exit_code == 0, done.output
    checked((tmp_path / "r.html").read_text())


def test_folders_without_a_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no finished run"):
        report_of(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UsageError, match="cannot read the record"):
        report_of(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(UsageError, match="not the record"):
        report_of(tmp_path)
