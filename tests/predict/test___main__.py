"""`python -m apnet_fast.predict`: what goes where, exit codes and messages."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from apnet_fast.predict.__main__ import _format, app
from apnet_fast.support.errors import UsageError


def predict(*words: str | Path) -> Result:
    """Run the command in this process; usage errors are raised."""
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_elsewhere_than_on_a_terminal_it_prints_csv(few: Path, small_weights: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "apnet_fast.predict", few, "--draws", "2", "--spectra", "star"],
        capture_output=True, text=True, timeout=120, env={**os.environ, "APNET_FAST_WEIGHTS": str(small_weights)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names, *rows = done.stdout.splitlines()
    assert names.startswith("number,product,path,")
    assert [row.split(",")[:2] for row in rows] == [["1", "star"], ["2", "star"]]


def test_a_table_can_be_asked_for(files: list[Path], small_weights: Path) -> None:
    done = predict(*files, "--weights", small_weights, "--draws", "2", "--format", "table")
    assert done.exit_code == 3  # one of the files is not there
    assert "NO_RESULT: Spectrum could not be read or used" in done.stdout
    assert "coadd" in done.stdout


@pytest.mark.parametrize(("name", "start"), [("a.csv", "number,"), ("a.ecsv", "# %ECSV 1.0"), ("a.json", "{")])
def test_the_suffix_chooses_the_format(name: str, start: str, few: Path, small_weights: Path, tmp_path: Path) -> None:
    done = predict(few, "--weights", small_weights, "--draws", "2", "-o", tmp_path / name)
    assert done.exit_code == 0
    assert done.stdout == ""
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)


def test_on_a_terminal_it_prints_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert _format(None, None) == "table"
    assert _format("csv", None) == "csv"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert _format(None, None) == "csv"
    assert _format(None, Path("a.ECSV")) == "ecsv"
    assert _format("json", Path("a.txt")) == "json"


def test_json_names_weights_recipe_and_draws(few: Path, small_weights: Path) -> None:
    done = predict(few, "--weights", small_weights, "--draws", "2", "--format", "json", "--seed", "7")
    read = json.loads(done.stdout)
    assert {name: read[name] for name in ("network", "recipe", "draws", "seed", "engine", "precision")} == {
        "network": "v3", "recipe": "dr19", "draws": 2, "seed": 7, "engine": "cpu", "precision": "fp32",
    }  # fmt: skip
    assert len(read["weights"]) == 64
    assert len(read["spectra"]) == 4


@pytest.mark.parametrize("chosen", ["csv", "ecsv", "json"])
@pytest.mark.parametrize("recipe", ["dr19", "bossnet-2"])
def test_medians_are_columns_on_request(recipe: str, chosen: str, few: Path, small_weights: Path) -> None:
    """No other column changes; only `dr19` reports the medians as its labels."""
    words = (few, "--weights", small_weights, "--draws", "5", "--format", chosen)
    plain, more = (rows_of(predict(*words, "--recipe", name).stdout, chosen) for name in (recipe, f"{recipe}+medians"))
    medians = [f"{label}_sample_median" for label in ("teff", "logg", "fe_h")]
    for without, row in zip(plain, more, strict=True):
        names = list(row)
        assert names[names.index("e_fe_h") + 1 : names.index("result_flags")] == medians
        assert {name: value for name, value in row.items() if name not in medians} == without
        reported = [float(row[label]) for label in ("teff", "logg", "fe_h")]
        assert ([float(row[name]) for name in medians] == reported) == (recipe == "dr19")


def rows_of(text: str, chosen: str) -> list[dict[str, Any]]:
    """The spectra of a text in one of the formats, numbers as they are written."""
    if chosen == "json":
        return list(json.loads(text)["spectra"])
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [dict(row) for row in csv.DictReader(lines)]


def test_a_plot_is_of_the_first_spectrum_or_of_the_one_asked_for(
    few: Path, small_weights: Path, tmp_path: Path
) -> None:
    plot = tmp_path / "star.png"
    words = (few, "--weights", small_weights, "--draws", "2", "--plot", plot)
    done = predict(*words)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "coadd" in done.stderr
    assert "(# 1)" in done.stderr
    first = plot.read_bytes()
    done = predict(*words, "--number", "2")
    assert "visit" in done.stderr
    assert plot.read_bytes() != first


def test_without_any_labels_there_is_no_plot(small_weights: Path, tmp_path: Path) -> None:
    done = predict("gone.fits", "--weights", small_weights, "--draws", "2", "--plot", tmp_path / "star.png")
    assert done.exit_code == 3
    assert "no figure, since no spectrum has labels" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "xml"], r"unknown format; got 'xml'; expected table \| csv"),
        (["-o", "stars.txt"], "unknown format; got 'txt'"),
        (["--spectra", "all"], r"unknown --spectra; got 'all'; expected star \| visit \| both"),
        (["--plot", "star.bmp"], "unknown kind of figure"),
        (["--plot", "nowhere/star.png"], "no such folder"),
        (["--number", "9"], "there is no such spectrum"),
        (["--draws", "1"], "too few noise draws"),
        (["--recipe", "dr18"], "unknown recipe"),
    ],
)
def test_usage_errors(words: list[str], message: str, few: Path, small_weights: Path) -> None:
    with pytest.raises(UsageError, match=message):
        predict(few, "--weights", small_weights, *words)


def test_warnings_are_said(few: Path, data: Path) -> None:
    """On real spectra the demo weights mean nothing, which is said and flagged."""
    (file,) = list((data / "apstar").glob("apStar-r5-2M19245882*.fits"))
    done = predict(file, "--weights", "demo", "--draws", "2", "--spectra", "star")
    assert "the labels of 1 real spectra mean nothing" in done.stderr
    assert "RESULT_UNRELIABLE" in done.stdout
    assert "real" not in predict(few, "--weights", "demo", "--draws", "2", "--spectra", "star").stderr
