"""The benchmark command: tiers are found, results have a machine, two results are compared by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import run
from benchmarks.results import Result
from benchmarks.tiers import read


def test_tiers() -> None:
    assert {"read", "driver", "end-to-end", "backends"} <= set(run.tier_names())


def test_figures_are_written_with_their_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int | None]] = []

    def measure(folder: Path, repeats: int, size: int | None = None) -> list[Result]:
        asked.append((repeats, size))
        return [Result("a figure", 2.0, "files/s", {"seen": 1})]

    monkeypatch.setattr(read, "measure", measure)
    path = tmp_path / "r.json"
    assert run.main(["--tier", "read", "--json", str(path), "--repeats", "1", "--stars", "8"]) == 0
    report = json.loads(path.read_text())
    assert asked == [(1, 8)]
    assert report["machine"]["cores"] > 0
    assert report["results"] == [{"name": "a figure", "value": 2.0, "unit": "files/s", "more": {"seen": 1}}]
    for words in (["--tier", "read", "--spectra", "5"], ["--tier", "backends", "--stars", "5"], ["--tier", "none"]):
        with pytest.raises(SystemExit):
            run.main(words)


def report(**values: float) -> dict[str, Any]:
    machine = {"processor": "p", "cores": 2, "threads": 2, "torch": "2"}
    results = [{"name": name, "value": value} for name, value in values.items()]
    return {"date": "now", "machine": machine, "results": results}


def test_compare_gives_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.compare(report(one=2.0, two=5.0), report(one=3.0, three=1.0)) == 0
    *_, line = capsys.readouterr().out.splitlines()
    assert line.split() == ["one", "2.0", "3.0", "x", "1.50"]
    assert run.compare(report(one=2.0), report(two=3.0)) == 1


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"results": [{"name": "one"}], "machine": {}, "date": "now"}'])
def test_compare_refuses_other_json(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, other = tmp_path / "good.json", tmp_path / "other.json"
    good.write_text(json.dumps(report(one=2.0)))
    other.write_text(text)
    assert run.main(["compare", str(good), str(good)]) == 0
    for words in ([good, other], [good, tmp_path / "nowhere.json"]):
        with pytest.raises(SystemExit, match="2"):
            run.main(["compare", *map(str, words)])
        assert str(words[1]) in capsys.readouterr().err
