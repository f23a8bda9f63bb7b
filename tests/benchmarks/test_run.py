"""The benchmark command: tiers are found, results have a machine, two results are compared by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.random import random_checkpoint
from benchmarks import inputs, run
from benchmarks.inputs import linked_tree
from benchmarks.results import peak_mb
from benchmarks.tiers import backends, driver, end_to_end, read
from tests.conftest import SMALL


def test_tiers() -> None:
    assert {"read", "driver", "end-to-end", "backends"} <= set(run.tier_names())


def test_a_tree_of_links_costs_no_disk(tmp_path: Path) -> None:
    tree = linked_tree(tmp_path, 100)
    files = list(tree.rglob("*.fits"))
    assert len(files) == 100
    assert len({path.stat().st_ino for path in files}) == 40
    assert linked_tree(tmp_path, 100) == tree


def test_every_figure_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "_FILES", 8)
    monkeypatch.setattr(read, "_READERS", (0,))
    monkeypatch.setattr(driver, "_READERS", (0,))
    monkeypatch.setattr(driver, "_FEW", 10)
    monkeypatch.setattr(driver, "_MANY", 40)
    monkeypatch.setattr(end_to_end, "weights", _small_weights)
    for tier, figures, more in (("read", 9, []), ("driver", 2, ["--stars", "8"])):
        path = tmp_path / f"{tier}.json"
        words = ["--tier", tier, "--json", str(path), "--repeats", "1", "--folder", str(tmp_path / "in")]
        assert run.main([*words, *more]) == 0
        report = json.loads(path.read_text())
        assert report["machine"]["cores"] > 0
        assert len({result["name"] for result in report["results"]}) == figures
        assert all(result["value"] > 0 for result in report["results"])
    memory = report["results"][-1]["more"]
    assert 50 < memory["mb_at_10"] < 2000
    assert set(memory) == {"mb_at_10", "mb_at_40"}
    assert (tmp_path / "in" / "dr17-8").is_dir()


def test_memory_is_that_of_the_process_alone() -> None:
    ballast = np.ones(40_000_000)  # 320 MB, which a program that is started from here must not count as its own
    assert ballast.all()
    assert peak_mb() > 320
    words = [sys.executable, "-c", "from benchmarks.results import peak_mb; print(peak_mb())"]
    said = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[2]).stdout
    assert 5 < float(said) < 100


def test_backends_have_two_rates_and_their_ratio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backends, "weights", _small_weights)
    words = ["--tier", "backends", "--repeats", "2", "--spectra", "5", "--folder", str(tmp_path)]
    assert run.main(words) == 0
    _, predict, generator = capsys.readouterr().out.splitlines()
    assert predict.startswith("net.predict")
    assert "spectra 5" in predict
    assert generator.startswith("backends.astra.apogeenet")
    assert 0 < float(generator.split()[-1]) < 100
    with pytest.raises(SystemExit):
        run.main(["--tier", "read", "--spectra", "5"])
    # The rows are looked at: an engine whose rows have no labels is no figure.
    monkeypatch.setattr(backends, "made_up_spectra", lambda n: (np.zeros((n, 8575)), np.ones((n, 8575))))
    with pytest.raises(RuntimeError, match="row 0"):
        backends.measure(tmp_path, 1, 2)


def _small_weights(folder: Path) -> tuple[Path, Checkpoint]:
    path, checkpoint = folder / "small.safetensors", random_checkpoint(1, architecture=SMALL)
    checkpoint.save(path)
    return path, checkpoint


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


def test_an_interrupted_simulation_is_not_taken_for_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(folder: Path, **how: object) -> None:
        (folder / "half").mkdir(parents=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(inputs, "simulate_tree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            linked_tree(tmp_path, 3)
    monkeypatch.setattr(inputs, "_DIFFERENT", 2)
    assert len(list(linked_tree(tmp_path, 3).rglob("*.fits"))) == 3
    assert not list(tmp_path.rglob("half"))
