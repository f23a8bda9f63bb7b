"""The cache holds what the files hold, and is made once."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from apnet_fast.inputs.label_tables import load_labels
from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.simulate import simulate_tree
from apnet_fast.spectra import read_spectra
from apnet_fast.train import cache
from tests.train.conftest import STARS


def test_spectra_are_those_of_the_files(tmp_path: Path, labelled_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = load_labels([labelled_tree / "truth.parquet"])
    files = resolve_inputs([str(labelled_tree)]).files
    filled = cache.open_or_fill(tmp_path, files, ["star"], labels, "set 1", readers=0)
    assert len(filled) == STARS
    truth = pq.read_table(labelled_tree / "truth.parquet").to_pylist()
    for row in truth[:3]:
        at = filled.stars.index(row["obj"])
        batch = read_spectra(str(labelled_tree / row["path"]), ("star",))
        np.testing.assert_array_equal(filled.spectra[at, 0], batch.flux[0])
        np.testing.assert_array_equal(filled.spectra[at, 1], batch.error[0])
        assert filled.labels[at].tolist() == [row["teff"], row["logg"], row["fe_h"]]
        assert filled.snr[at] == pytest.approx(row["snr"], rel=1e-3)

    with monkeypatch.context() as patched:
        patched.setattr(cache, "_fill", lambda *arguments: pytest.fail("filled again"))
        again = cache.open_or_fill(tmp_path, files, ["star"], labels, "set 1", readers=0)
        np.testing.assert_array_equal(again.spectra[0], filled.spectra[0])
    assert len(cache.open_or_fill(tmp_path, files, ["visit"], labels, "set 2", readers=0)) == STARS


def test_files_that_cannot_be_used_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = simulate_tree(tmp_path / "edge", stars=2, layout="sdss5", visits=1, seed=1, edge_cases=True)
    labels = load_labels([tree / "truth.parquet"])
    folder = tmp_path / "cache"
    folder.mkdir()
    filled = cache.open_or_fill(folder, resolve_inputs([str(tree)]).files, ["star"], labels, "edge", readers=0)
    readable = sum(row["readable"] for row in pq.read_table(tree / "truth.parquet").to_pylist())
    assert 2 < len(filled) <= readable
    assert "unusable" in capsys.readouterr().err
    assert (np.isfinite(filled.spectra[:, 0]) & (filled.spectra[:, 0] != 0)).any(axis=1).all()


def test_content_is_that_of_files_products_and_labels(tmp_path: Path, labelled_tree: Path) -> None:
    labels = load_labels([labelled_tree / "truth.parquet"])
    files = resolve_inputs([str(labelled_tree)]).files[:2]
    copies = [shutil.copy2(file, tmp_path) for file in files]
    first = cache.content_of(resolve_inputs([str(tmp_path)]), ["star"], labels, {})
    assert cache.content_of(resolve_inputs(copies), ["star"], labels, {}) == first
    assert cache.content_of(resolve_inputs(copies[:1]), ["star"], labels, {}) != first
    assert cache.content_of(resolve_inputs(copies), ["visit"], labels, {}) != first
    assert cache.content_of(resolve_inputs(copies), ["star"], labels, {"teff": "other"}) != first
    assert cache.content_of(resolve_inputs(copies), ["star"], replace(labels, sha256=("other",)), {}) != first
    os.utime(copies[0], (1, 1))
    assert cache.content_of(resolve_inputs(copies), ["star"], labels, {}) != first


def test_flux_range_is_that_of_the_medians(tmp_path: Path, labelled_tree: Path) -> None:
    labels = load_labels([labelled_tree / "truth.parquet"])
    files = resolve_inputs([str(labelled_tree)]).files
    filled = cache.open_or_fill(tmp_path, files, ["star"], labels, "set", readers=0)
    flux = np.where(filled.spectra[:, 0] != 0, filled.spectra[:, 0], np.nan)
    medians = np.nanmedian(flux, axis=1)
    found = cache.flux_range(filled)
    assert found == pytest.approx((medians.min(), medians.max()), rel=0.05)
    dead = replace(filled, spectra=np.zeros_like(filled.spectra))
    assert cache.flux_range(dead) is None


def test_a_training_set_is_simulated_if_all_its_files_say_so(tmp_path: Path, labelled_tree: Path) -> None:
    labels = load_labels([labelled_tree / "truth.parquet"])
    files = resolve_inputs([str(labelled_tree)]).files[:3]
    assert cache.open_or_fill(tmp_path, files, ["star"], labels, "set 1", readers=0).simulated
    real = tmp_path / Path(files[0]).name
    real.write_bytes(
        Path(files[0]).read_bytes().replace(b"SIMULATD=                    T", b"SIMULATD=                    F")
    )
    mixed = cache.open_or_fill(tmp_path, [str(real), *files[1:]], ["star"], labels, "set 2", readers=0)
    assert len(mixed) == 3
    assert not mixed.simulated


def test_a_cache_of_an_earlier_version_is_filled_again(tmp_path: Path, labelled_tree: Path) -> None:
    labels = load_labels([labelled_tree / "truth.parquet"])
    files = resolve_inputs([str(labelled_tree)]).files[:2]
    cache.open_or_fill(tmp_path, files, ["star"], labels, "set", readers=0)
    index = tmp_path / "spectra.parquet"
    pq.write_table(pq.read_table(index).drop_columns(["simulated"]), index)
    assert cache.open_or_fill(tmp_path, files, ["star"], labels, "set", readers=0).simulated
    assert "simulated" in pq.read_schema(index).names


def test_a_kill_at_any_moment_leaves_a_cache_that_is_ours_and_mixes_nothing(
    tmp_path: Path, labelled_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = load_labels([labelled_tree / "truth.parquet"])
    files = resolve_inputs([str(labelled_tree)]).files
    cache.open_or_fill(tmp_path, files[:4], ["star"], labels, "set 1", readers=0)
    assert cache.is_cache(tmp_path)
    replace_file = os.replace
    for kill_at in (0, 1):
        moves: list[str] = []

        def killed(source: Path, target: Path, kill_at: int = kill_at, moves: list[str] = moves) -> None:
            if len(moves) == kill_at:
                raise KeyboardInterrupt
            moves.append(target.name)
            replace_file(source, target)

        with monkeypatch.context() as patched:
            patched.setattr("os.replace", killed)
            with pytest.raises(KeyboardInterrupt):
                cache.open_or_fill(tmp_path, files[4:8], ["star"], labels, f"set {kill_at + 2}", readers=0)
        assert cache.is_cache(tmp_path)
    found = cache.open_or_fill(tmp_path, files[4:8], ["star"], labels, "set 3", readers=0)
    for file in files[4:8]:
        batch = read_spectra(file, ("star",))
        at = found.ids.index(batch.records[0].identity)
        np.testing.assert_array_equal(found.spectra[at, 0], batch.flux[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spectra.f32", "spectra.parquet"]


def test_spectra_that_were_cut_are_read_again(tmp_path: Path, labelled_tree: Path) -> None:
    labels = load_labels([labelled_tree / "truth.parquet"])
    files = resolve_inputs([str(labelled_tree)]).files[:3]
    first = np.array(cache.open_or_fill(tmp_path, files, ["star"], labels, "set", readers=0).spectra)
    for damage in (
        lambda path: os.truncate(path, 100),
        lambda path: path.unlink(),
        lambda path: os.truncate(path, 10**6),
    ):
        damage(tmp_path / "spectra.f32")
        np.testing.assert_array_equal(
            cache.open_or_fill(tmp_path, files, ["star"], labels, "set", readers=0).spectra, first
        )
