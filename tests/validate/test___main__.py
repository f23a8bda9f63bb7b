"""The commands `validate repeats` and `validate compare`: exit codes, files and early errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from apnet_fast.support.errors import UsageError
from apnet_fast.validate.__main__ import app
from tests.validate.catalogues import changed, visit_table, written


@pytest.fixture
def a(tmp_path: Path) -> Path:
    """A catalogue to compare others with."""
    return written(visit_table(0, stars=60), tmp_path / "a.parquet")


def run_compare(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["compare", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_exit_codes_of_compare(a: Path, tmp_path: Path) -> None:
    table = visit_table(0, stars=60)
    moved = table["fe_h"].to_numpy().copy()
    moved[:2] += 1
    b = written(changed(table, fe_h=moved), tmp_path / "b.parquet")
    assert run_compare(a, b)[0] == 0
    assert run_compare(a, b, "--tolerance", 1)[0] == 1
    assert run_compare(a, b, "--tolerance", 1, "--share", 0.1)[0] == 0
    assert run_compare(a, b, "--tolerance", 1000)[0] == 0
    assert run_compare(a, a, "--tolerance", 0, "--same-rows")[0] == 0
    fewer = written(table.slice(1), tmp_path / "c.parquet")
    assert run_compare(a, fewer, "--tolerance", 0)[0] == 0
    code, text = run_compare(a, fewer, "--same-rows", "--json", tmp_path / "c.json")
    assert code == 1
    assert "do not hold the same rows" in text
    assert json.loads((tmp_path / "c.json").read_text())["only_a"] == 1
    # Before the work: a catalogue that is not there would be the later error.
    with pytest.raises(UsageError, match=r"no such folder; got .*nowhere"):
        run_compare(a, tmp_path / "none.parquet", "--json", tmp_path / "nowhere" / "c.json")
    with pytest.raises(UsageError, match="a folder, not a file"):
        run_compare(a, tmp_path / "none.parquet", "--json", tmp_path)


def run_repeats(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["repeats", *map(str, words), "--bootstrap", "50"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_exit_codes_and_files_of_repeats(tmp_path: Path) -> None:
    good = written(visit_table(0), tmp_path / "good.parquet")
    code, text = run_repeats(
        good, "--json", tmp_path / "z.json", "--figure", tmp_path / "z.svg", "--percentiles", 1, 99
    )
    assert code == 0
    assert "1.25 raw + 10 K" in text
    assert json.loads((tmp_path / "z.json").read_text())["off"] == []
    assert (tmp_path / "z.svg").read_text().startswith("<?xml")
    bad = written(visit_table(0, scale=(3.0, 1.25, 1.0)), tmp_path / "bad.parquet")
    code, text = run_repeats(bad, "--tolerance", "1.5")
    assert code == 1
    assert "published errors of teff are off" in text
    assert run_repeats(bad, "--tolerance", "5")[0] == 0
    few = written(visit_table(0, stars=12, scale=(3.0, 1.25, 1.0)), tmp_path / "few.parquet")
    code, text = run_repeats(few)
    assert code == 0
    assert "too few stars to judge teff, logg, fe_h" in text
    assert "no published error is off" not in text
    with pytest.raises(UsageError, match="--tolerance"):
        run_repeats(good, "--tolerance", "0.5")
    with pytest.raises(UsageError, match="kind of figure"):
        run_repeats(good, "--figure", "z.txt")
    # Before the work: a catalogue that is not there would be the later error.
    with pytest.raises(UsageError, match=r"no such folder; got .*nowhere"):
        run_repeats(tmp_path / "none.parquet", "--json", tmp_path / "nowhere" / "z.json")
