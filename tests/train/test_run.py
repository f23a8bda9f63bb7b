"""Whole runs on a tiny network: loss falls, runs go on where they stopped, weights say what they are."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.networks.checkpoint import load_checkpoint
from apnet_fast.plots.curves import draw_curves, read_curves
from apnet_fast.support.errors import Stopped, UsageError
from apnet_fast.support.lock import locked
from apnet_fast.support.stopping import StopRequest
from apnet_fast.train import cache
from apnet_fast.train.batches import split_by_star
from apnet_fast.train.learner import Learner
from apnet_fast.train.run import CURVES_FILE, REPORT_FILE, STATE_FILE, train
from apnet_fast.train.settings import TrainSettings
from tests.train.conftest import STARS

Make = Callable[..., TrainSettings]


def stop_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the run to stop, as a signal would, once it has made so many steps."""
    step, made = Learner.step, []
    requests: list[StopRequest] = []
    enter = StopRequest.__enter__

    def noted(request: StopRequest) -> StopRequest:
        requests[:] = [request]
        return enter(request)

    def counted(self: Learner, *arguments: object) -> float:
        made.append(1)
        if len(made) == steps:
            requests[0].requested = True
        return step(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(StopRequest, "__enter__", noted)
    monkeypatch.setattr(Learner, "step", counted)


def test_after_a_fork_another_thread_trains(tmp_path: Path, settings_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        def __init__(self, *_: object) -> None:
            pass

        def finish(self, stop: StopRequest) -> int:
            return threading.get_ident()

    monkeypatch.setattr("apnet_fast.train.run._Run", Fake)
    monkeypatch.setattr("apnet_fast.support.forks._forked", True)
    assert train(settings_of(tmp_path / "w.safetensors")) != threading.get_ident()


@pytest.mark.slow
def test_loss_falls_and_everything_is_written(tmp_path: Path, settings_of: Make) -> None:
    settings = settings_of(tmp_path / "w.safetensors", epochs=12, origin="tests")
    table = train(settings)
    curves = json.loads((settings.folder / CURVES_FILE).read_text())["epochs"]
    assert len(curves) == 12
    losses = [epoch["training_loss"] for epoch in curves]
    assert min(losses[-3:]) < 0.8 * losses[0]
    report = json.loads((settings.folder / REPORT_FILE).read_text())
    checkpoint = load_checkpoint(settings.output)
    assert checkpoint.for_simulated_only
    assert checkpoint.flux_range is not None
    assert 5 < checkpoint.flux_range[0] < checkpoint.flux_range[1] < 1e5
    assert report["weights"] == checkpoint.sha256
    assert table[0].n == report["spectra"] > 0
    assert checkpoint.origin.startswith("tests [apnet_fast ")
    assert np.isfinite(table[0].scatter).all()


def test_scaling_is_that_of_the_training_stars(tmp_path: Path, settings_of: Make, labelled_tree: Path) -> None:
    settings = settings_of(tmp_path / "w.safetensors", epochs=1)
    train(settings)
    scaling = load_checkpoint(settings.output).scaling
    truth = pq.read_table(labelled_tree / "truth.parquet")
    assert scaling.names == ("logg", "log_teff", "fe_h")
    rows = split_by_star(truth["obj"].to_pylist(), 0.25, 0).training
    assert 0 < len(rows) < STARS
    assert scaling.mean[0] == pytest.approx(truth["logg"].to_numpy()[rows].mean())
    assert scaling.std[1] == pytest.approx(np.log10(truth["teff"].to_numpy()[rows]).std())
    assert scaling.mean[0] != pytest.approx(truth["logg"].to_numpy().mean(), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("steps", [2, 5])
def test_stopped_and_continued_is_uninterrupted(
    tmp_path: Path, settings_of: Make, monkeypatch: pytest.MonkeyPatch, steps: int, precision: str
) -> None:
    whole = settings_of(tmp_path / "whole.safetensors", precision=precision)
    train(whole)
    broken = settings_of(tmp_path / "broken.safetensors", precision=precision, workers=2)
    with monkeypatch.context() as patched:
        stop_after(steps, patched)
        with pytest.raises(Stopped):
            train(broken)
    train(broken)
    assert broken.output.read_bytes() == whole.output.read_bytes()
    other = settings_of(tmp_path / "other.safetensors", precision=precision, seed=1)
    train(other)
    assert other.output.read_bytes() != whole.output.read_bytes()


def test_a_finished_run_repeats_its_report_only(
    tmp_path: Path, settings_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path / "w.safetensors", epochs=1)
    first = train(settings)
    monkeypatch.setattr(Learner, "step", lambda *arguments: pytest.fail("trained again"))
    assert train(settings) == first


def test_another_runs_folder_is_refused_by_name(tmp_path: Path, settings_of: Make) -> None:
    train(settings_of(tmp_path / "w.safetensors", epochs=1))
    with pytest.raises(UsageError, match="learning_rate"):
        train(settings_of(tmp_path / "w.safetensors", epochs=1, learning_rate=1e-4))


def test_files_that_were_added_are_refused_and_taken_by_a_restart(
    tmp_path: Path, settings_of: Make, labelled_tree: Path
) -> None:
    tree = Path(shutil.copytree(labelled_tree, tmp_path / "tree"))
    files = resolve_inputs([str(tree)]).files
    for file in files[20:]:
        os.rename(file, tmp_path / os.path.basename(file))
    settings = settings_of(tmp_path / "w.safetensors", trees=(str(tree),), epochs=1)
    train(settings)
    alone = settings.output.read_bytes()
    for file in files[20:]:
        os.rename(tmp_path / os.path.basename(file), file)
    with pytest.raises(UsageError, match="content of files"):
        train(settings)
    assert settings.output.read_bytes() == alone
    train(settings, restart=True)
    spectra = f"{len(split_by_star(star_names(labelled_tree), 0.25, 0).training)} spectra"
    assert spectra in load_checkpoint(settings.output).origin


def star_names(tree: Path) -> list[str]:
    return pq.read_table(tree / "truth.parquet")["obj"].to_pylist()


def test_a_restart_reads_no_file_again(tmp_path: Path, settings_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    train(settings_of(tmp_path / "w.safetensors", epochs=1))
    monkeypatch.setattr(cache, "_fill", lambda *arguments: pytest.fail("read again"))
    train(settings_of(tmp_path / "w.safetensors", epochs=1, learning_rate=1e-3), restart=True)


def test_a_restart_that_cannot_begin_discards_nothing(tmp_path: Path, settings_of: Make) -> None:
    settings = settings_of(tmp_path / "w.safetensors", epochs=1)
    train(settings)
    state = (settings.folder / STATE_FILE).read_bytes()
    for change in ({"labels": (tmp_path / "typo.parquet",)}, {"trees": (str(tmp_path / "typo"),)}):
        with pytest.raises(UsageError):
            train(replace(settings, **change), restart=True)
    with locked(settings.folder), pytest.raises(UsageError):
        train(settings, restart=True)
    assert (settings.folder / STATE_FILE).read_bytes() == state


@pytest.mark.filterwarnings("error")
def test_a_label_that_no_star_held_back_has(tmp_path: Path, settings_of: Make, labelled_tree: Path) -> None:
    truth = pq.read_table(labelled_tree / "truth.parquet")
    names = truth["obj"].to_pylist()
    training = set(split_by_star(names, 0.25, 0).training)
    fe_h = [value if row in training else None for row, value in enumerate(truth["fe_h"].to_pylist())]
    few = pa.table({"obj": names, "teff": truth["teff"], "logg": truth["logg"], "fe_h": fe_h})
    pq.write_table(few, tmp_path / "few.parquet")
    settings = settings_of(tmp_path / "w.safetensors", labels=(tmp_path / "few.parquet",), epochs=1)
    train(settings)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    curves, report = (
        json.loads((settings.folder / name).read_text(), parse_constant=refuse) for name in (CURVES_FILE, REPORT_FILE)
    )
    assert curves["epochs"][0]["scatter_fe_h"] is None
    assert curves["epochs"][0]["scatter_logg"] > 0
    assert report["recovery"][0]["scatter"][2] is None
    draw_curves(read_curves(settings.folder))


def test_missing_labels_are_masked(tmp_path: Path, settings_of: Make, labelled_tree: Path) -> None:
    truth = pq.read_table(labelled_tree / "truth.parquet")
    names = truth["obj"].to_pylist()
    fe_h = [None if row % 2 else value for row, value in enumerate(truth["fe_h"].to_pylist())]
    gaps = pa.table({"obj": names, "teff": truth["teff"], "logg": truth["logg"], "fe_h": fe_h})
    pq.write_table(gaps, tmp_path / "gaps.parquet")
    settings = settings_of(tmp_path / "w.safetensors", labels=(tmp_path / "gaps.parquet",), epochs=2)
    train(settings)
    assert all(torch.isfinite(value).all() for value in load_checkpoint(settings.output).state.values())


@pytest.mark.slow
def test_patience_ends_a_run(tmp_path: Path, settings_of: Make) -> None:
    settings = settings_of(tmp_path / "w.safetensors", epochs=40, patience=1, learning_rate=1e-9, ema=0.0)
    train(settings)
    assert len(json.loads((settings.folder / CURVES_FILE).read_text())["epochs"]) < 40


def test_stars_without_labels_are_an_error(tmp_path: Path, settings_of: Make) -> None:
    strangers = pa.table({"obj": ["2M00000000+0000000"], "teff": [5000.0], "logg": [4.0], "fe_h": [0.0]})
    pq.write_table(strangers, tmp_path / "strangers.parquet")
    with pytest.raises(UsageError, match="no spectrum has a label"):
        train(settings_of(tmp_path / "w.safetensors", labels=(tmp_path / "strangers.parquet",)))


TRAINING_FILES = ["spectra.f32", "spectra.parquet", STATE_FILE, CURVES_FILE, REPORT_FILE]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("name", TRAINING_FILES)
def test_files_of_the_user_in_the_folder_of_a_training_stay(
    name: str, restart: bool, tmp_path: Path, settings_of: Make
) -> None:
    settings = settings_of(tmp_path / "w.safetensors", epochs=1)
    settings.folder.mkdir()
    for mine in ("spectra.parquet", name):
        (settings.folder / mine).unlink(missing_ok=True)
        if name == "spectra.parquet":  # a table, but none of ours
            pq.write_table(pa.table({"obj": ["a"]}), settings.folder / mine)
        elif mine == name:
            (settings.folder / mine).write_text("mine")
    before = {path.name: path.read_bytes() for path in settings.folder.iterdir()}
    with pytest.raises(UsageError, match=rf"the training would overwrite.*{name}"):
        train(settings, restart=restart)
    assert {path.name: path.read_bytes() for path in settings.folder.iterdir()} == before
    assert not settings.output.exists()


def test_a_table_that_is_none_is_the_users_too(tmp_path: Path, settings_of: Make) -> None:
    settings = settings_of(tmp_path / "w.safetensors", epochs=1)
    settings.folder.mkdir()
    (settings.folder / "spectra.parquet").write_text("mine")
    with pytest.raises(UsageError, match=r"would overwrite.*spectra\.parquet"):
        train(settings)


def test_other_files_of_the_user_are_no_obstacle(tmp_path: Path, settings_of: Make) -> None:
    settings = settings_of(tmp_path / "w.safetensors", epochs=1)
    settings.folder.mkdir()
    for name in ("notes.txt", "spectra.f32.partial"):
        (settings.folder / name).write_text("mine")
    train(settings)
    assert {(settings.folder / name).read_text() for name in ("notes.txt", "spectra.f32.partial")} == {"mine"}


@pytest.mark.timeout(120)
def test_a_training_whose_files_are_damaged_goes_on_or_says_what_to_do(
    put_no_file: Callable[[Path], None], tmp_path: Path, settings_of: Make
) -> None:
    settings = settings_of(tmp_path / "w.safetensors", epochs=1)
    train(settings)
    whole = settings.output.read_bytes()
    (settings.folder / "spectra.f32").write_bytes(b"cut")  # the index proves whose folder it is
    train(settings)
    put_no_file(settings.folder / "spectra.parquet")  # now the state does
    train(settings)
    (settings.folder / "pipe").unlink(missing_ok=True)
    put_no_file(settings.folder / STATE_FILE)
    with pytest.raises(UsageError, match=r"state of the training cannot be read.*--restart"):
        train(settings)
    train(settings, restart=True)
    assert settings.output.read_bytes() == whole
