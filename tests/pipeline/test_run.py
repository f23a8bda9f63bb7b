"""Whole runs: the promises of the pipeline, on simulated and real files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from astropy.io import fits
from astropy.table import Table

import apnet_fast
from apnet_fast.api import ApogeeNet
from apnet_fast.catalog.columns import COLUMNS
from apnet_fast.catalog.names import PRODUCT_NAMES
from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.pipeline import results
from apnet_fast.pipeline.run import run
from apnet_fast.pipeline.shards import ShardStore
from apnet_fast.readers import pool as readers
from apnet_fast.recipes.flag_tables import known_table
from apnet_fast.recipes.labels import MEDIANS
from apnet_fast.recipes.noise import noise_keys, normals
from apnet_fast.simulate import simulate_tree
from apnet_fast.spectra import Product
from apnet_fast.support.errors import Stopped, UsageError
from tests.conftest import SMALL
from tests.literal import evaluate
from tests.pipeline.runs import (
    arguments,
    catalogue,
    catalogue_bytes,
    quarantine,
    stored_record,
    stored_shards,
    table_bytes,
)


@pytest.fixture(scope="module")
def undisturbed(tree: Path, small_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The catalogues of a run that nothing disturbed."""
    output = tmp_path_factory.mktemp("undisturbed")
    run(arguments([tree], small_weights, output))
    return catalogue_bytes(output)


def test_a_survey_is_run_from_python(tree: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path) -> None:
    summary = apnet_fast.run_survey(tree, weights=small_weights, output=tmp_path / "one", device="cpu", draws=3)
    assert summary.rows == {"star": 7, "visit": 14}
    assert catalogue_bytes(tmp_path / "one") == undisturbed
    files = [str(path) for path in tree.rglob("*.fits")]
    apnet_fast.run_survey(files, weights=str(small_weights), output=str(tmp_path / "two"), device="cpu", draws=3)
    assert catalogue_bytes(tmp_path / "two") == undisturbed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weight": "demo"}, "'weight'. Did you mean 'weights'?"),
        ({"reciep": "dr19", "weights": "demo"}, "'reciep'. Did you mean 'recipe'?"),
        ({"colour": "red"}, "'colour'. It takes inputs, weights, output, catalog, root, gpus, device, "),
        ({"options": {}}, "'options'. It takes inputs"),
    ],
)
def test_an_argument_that_is_not_known_is_named_with_the_closest(options: dict[str, object], words: str) -> None:
    with pytest.raises(TypeError) as raised:
        apnet_fast.run_survey("tree", output="out", **options)  # type: ignore[arg-type]
    assert str(raised.value).startswith(f"run_survey() got an unexpected keyword argument {words}")


def test_medians_of_the_draws_on_request(tree: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path) -> None:
    run(arguments([tree], small_weights, tmp_path / "medians", recipe="dr19+medians"))
    run(arguments([tree], small_weights, tmp_path / "plain"))
    assert catalogue_bytes(tmp_path / "plain") == undisturbed
    for product in ("star", "visit"):
        plain = fitsio.read(str(tmp_path / "plain" / f"{PRODUCT_NAMES[product]}.fits"), ext=2)  # type: ignore[index]
        more = fitsio.read(str(tmp_path / "medians" / f"{PRODUCT_NAMES[product]}.fits"), ext=2)  # type: ignore[index]
        assert set(more.dtype.names) - set(plain.dtype.names) == set(MEDIANS)
        for name in set(plain.dtype.names) - {"created", "t_elapsed"}:
            assert plain[name].tobytes() == more[name].tobytes(), name
        # dr19 reports the medians; the catalogue of bossnet-2 would not.
        for label in ("teff", "logg", "fe_h"):
            assert np.array_equal(more[label], more[f"{label}_sample_median"], equal_nan=True)
        parquet = pq.read_schema(tmp_path / "medians" / f"{PRODUCT_NAMES[product]}.parquet")  # type: ignore[index]
        assert set(MEDIANS) <= set(parquet.names)
        assert parquet.metadata[b"RECIPE"] == b"dr19+medians"
    with pytest.raises(UsageError, match="recipe"):
        run(arguments([tree], small_weights, tmp_path / "plain", recipe="dr19+medians"))


@pytest.mark.slow
def test_real_files_give_a_row_for_every_star_and_visit(data: Path, small_weights: Path, tmp_path: Path) -> None:
    summary = run(arguments([data / "apstar", data / "apstar_relaid"], small_weights, tmp_path))
    assert summary.rows == {"star": 8, "visit": 27}
    assert summary.failures == 0
    star, visit = (catalogue(tmp_path, product) for product in ("star", "visit"))
    assert star["teff"].is_valid().to_pylist() == [True] * 8
    assert np.isfinite(star["teff"].to_numpy()).all()
    assert np.isfinite(visit["raw_e_fe_h"].to_numpy()).all()
    assert sorted(set(star["release"].to_pylist())) == ["", "dr12", "dr14", "sdss5"]
    assert len(set(visit["identity"].to_pylist()) | set(star["identity"].to_pylist())) == 35


@pytest.mark.slow
def test_real_files_equal_a_literal_evaluation(data: Path, full_checkpoint: Checkpoint, tmp_path: Path) -> None:
    weights = tmp_path / "full.safetensors"
    full_checkpoint.save(weights)
    inputs: list[Path | str] = [data / "apstar", data / "apstar_relaid"]
    run(arguments(inputs, weights, tmp_path / "out", recipe="astra-0.6", draws=2, seed=4))
    network = full_checkpoint.module()
    for product in ("star", "visit"):
        for row in catalogue(tmp_path / "out", product).to_pylist():
            with fits.open(row["path"]) as file:
                flux = np.atleast_2d(file[1].data)[row["file_row"]]
                error = np.atleast_2d(file[2].data)[row["file_row"]]
            noise = normals(noise_keys(4, [row["identity"]]), 2, 8575)[0]
            for name, value in evaluate("astra-0.6", network, flux, error, noise).items():
                # [Fe/H] may be near zero; a standard deviation of two draws is a difference of near values.
                near_zero = 5e-6 * row["teff"] if name == "raw_e_teff" else 3e-5
                expected = pytest.approx(value, rel=1e-4, abs=near_zero)
                assert row[name] == expected, (row["path"], name)
                if name in ("teff", "logg", "fe_h"):
                    assert row[name] + 2e-4 * abs(row[name]) + 2 * (near_zero if name != "teff" else 0) != expected


def test_fits_and_parquet_hold_the_same(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    run(arguments([tree], small_weights, tmp_path))
    for product in ("star", "visit"):
        path = tmp_path / f"{PRODUCT_NAMES[product]}.fits"
        with fits.open(path, checksum=True) as file:
            assert [len(hdu.data) for hdu in file[1:]] == [0, 7 if product == "star" else 14]
            assert file[0].header["RECIPE"] == "dr19"
            assert file[0].header["SEED"] == 0
        table = pq.read_table(path.with_suffix(".parquet"))
        read = fitsio.read(str(path), ext=2)
        for column in COLUMNS[product]:
            # What nobody knows of bits and logicals is null in Parquet, and no bit or F in FITS.
            name, values = column.name, table[column.name].to_pylist()
            values = [column.null if value is None else value for value in values]
            expected = [list(value) if isinstance(value, bytes) else value for value in values]
            got = [value.decode() if isinstance(value, bytes) else value for value in read[name].tolist()]
            np.testing.assert_array_equal(got, expected, err_msg=name)
        assert len(Table.read(path, hdu=2, unit_parse_strict="silent")) == len(table)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 1},
        {"batch_size": 1000},
        {"readers": 1},
        {"readers": 2, "batch_size": 5},
        {"shard_size": 1},
        {"shard_size": 100},
    ],
    ids=str,
)
def test_how_a_run_is_driven_changes_no_byte(
    changes: dict[str, object], tree: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    run(arguments([tree], small_weights, tmp_path, **changes))
    assert catalogue_bytes(tmp_path) == undisturbed


def test_order_of_files_changes_no_byte(tree: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path) -> None:
    files: list[Path | str] = sorted(tree.rglob("*.fits"), reverse=True)
    run(arguments(files, small_weights, tmp_path))
    assert catalogue_bytes(tmp_path) == undisturbed


def test_another_seed_changes_draws_and_not_identities(
    tree: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    run(arguments([tree], small_weights, tmp_path, seed=1))
    assert catalogue_bytes(tmp_path) != undisturbed


def test_a_moved_file_has_the_same_labels(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    source = sorted(tree.rglob("*.fits"))[2]
    moved = tmp_path / "elsewhere" / source.name
    moved.parent.mkdir()
    moved.write_bytes(source.read_bytes())
    rows = []
    for number, path in enumerate([source, moved]):
        run(arguments([path], small_weights, tmp_path / str(number)))
        rows.append(catalogue(tmp_path / str(number), "visit").drop_columns(["path"]))
    assert table_bytes(rows[0]) == table_bytes(rows[1])


def test_a_row_can_be_made_again_from_its_identity(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    run(arguments([tree], small_weights, tmp_path, seed=9))
    row = catalogue(tmp_path, "visit").to_pylist()[5]
    flux, error = (fitsio.read(row["path"], ext=ext)[row["file_row"]] for ext in (1, 2))
    labels = ApogeeNet.load(small_weights).predict(flux, error, ids=[row["identity"]], draws=3, seed=9)
    for name in labels.dtype.names:
        assert labels[name][0] == row[name]


def fail_after(shards: int) -> Callable[..., object]:
    """A ShardStore.write that fails once some shards are written."""
    original, count = ShardStore.write, 0

    def write(self: ShardStore, *given: object) -> object:
        nonlocal count
        count += 1
        if count > shards:
            raise KeyboardInterrupt
        return original(self, *given)  # type: ignore[arg-type]

    return write


@pytest.mark.parametrize("finished", [0, 1, 3])
def test_a_restart_in_the_middle_changes_no_byte(
    finished: int,
    tree: Path,
    small_weights: Path,
    undisturbed: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ShardStore, "write", fail_after(finished))
        with pytest.raises(KeyboardInterrupt):
            run(arguments([tree], small_weights, tmp_path))
    assert not list(tmp_path.glob("astra*"))
    run(arguments([tree], small_weights, tmp_path, readers=1, batch_size=3))
    assert catalogue_bytes(tmp_path) == undisturbed
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["resumed_shards"] == finished
    assert record["spectra_this_run"] == 21 - 6 * finished


def command(tree: Path, weights: Path, output: Path, *more: str) -> list[str]:
    words = [str(tree), "--weights", str(weights), "--output", str(output), "--draws", "3", "--shard-size", "2"]
    return [sys.executable, "-m", "apnet_fast.reprocess", *words, *more]


def wait_for_a_shard(output: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not stored_shards(output):
        assert time.monotonic() < deadline, "no shard was finished in a minute"
        assert process.poll() is None, "the run ended before its first shard"
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 4), (signal.SIGINT, 4)])
def test_a_killed_run_goes_on_where_it_was(how: signal.Signals, code: int, small_weights: Path, tmp_path: Path) -> None:
    tree = simulate_tree(tmp_path / "tree", stars=24, layout="sdss5", visits=1, seed=8)
    clean, output = tmp_path / "clean", tmp_path / "killed"
    run(arguments([tree], small_weights, clean))
    with subprocess.Popen(
        command(tree, small_weights, output, "--readers", "1"), stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for_a_shard(output, process)
        process.send_signal(how)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert not list(output.glob("astra*"))
    again = subprocess.run(
        command(tree, small_weights, output), capture_output=True, text=True, check=False, timeout=120
    )
    assert again.returncode == 0, again.stderr
    assert "going on" in again.stderr
    assert catalogue_bytes(output) == catalogue_bytes(clean)


@pytest.mark.parametrize("moment", ["resolve_inputs", "load_checkpoint", "write_product", "last table"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_run_outside_its_shards_too(
    how: signal.Signals,
    moment: str,
    tree: Path,
    small_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from apnet_fast.pipeline import run as runs

    where = "write_product" if moment == "last table" else moment
    module = results if where == "write_product" else runs
    real = getattr(module, where)

    def interrupted(*given: object, **more: object) -> object:
        if moment != "last table":
            os.kill(os.getpid(), how)
        done = real(*given, **more)
        if moment == "last table":
            os.kill(os.getpid(), how)
        return done

    before = signal.getsignal(how)
    with monkeypatch.context() as patch:
        patch.setattr(module, where, interrupted)
        with pytest.raises(Stopped, match=r"by a signal.*same command again"):
            run(arguments([tree], small_weights, tmp_path, engine="null", spectra="star"))
    assert signal.getsignal(how) == before
    assert f"{how.name}: stopping after this" in capfd.readouterr().err
    assert len(stored_shards(tmp_path)) == (4 if where == "write_product" else 0)
    assert not (tmp_path / "run.json").exists()
    assert not list(tmp_path.rglob("*.partial"))
    assert run(arguments([tree], small_weights, tmp_path, engine="null", spectra="star")).rows == {"star": 7}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "000001/star.parquet").write_bytes(b"garbage"),
        lambda folder: (folder / "000001/visit.parquet").unlink(),
        lambda folder: (folder / "000001/marker.json").write_text("{"),
        lambda folder: (folder / "000001/marker.json").write_text('{"parts": {}, "reasons": {}}'),
        lambda folder: (folder / "000001/marker.json").unlink(),
        lambda folder: edit(folder / "000001/marker.json", '"rows": 2', '"rows": 99'),
        lambda folder: edit(folder / "000001/marker.json", '"obj": 18', '"obj": 10'),
        lambda folder: edit(folder / "000001/marker.json", '"reasons": {}', '"reasons": {"no_data": 1}'),
    ],
    ids=[
        "part garbled",
        "part gone",
        "marker cut",
        "marker empty",
        "marker gone",
        "rows",
        "widths",
        "reasons",
    ],
)
def test_a_damaged_shard_is_done_again(
    damage: Callable[[Path], object], tree: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    run(arguments([tree], small_weights, tmp_path))
    damage(tmp_path / "shards")
    run(arguments([tree], small_weights, tmp_path))
    assert catalogue_bytes(tmp_path) == undisturbed
    assert json.loads((tmp_path / "run.json").read_text())["spectra_this_run"] == 6


def test_a_changed_bit_of_a_part_is_seen_where_the_part_is_read(
    tree: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    """A complete run reads no part; one whose catalogues have to be written again reads them all."""
    run(arguments([tree], small_weights, tmp_path))
    flip(tmp_path / "shards/000001/star.parquet")
    assert run(arguments([tree], small_weights, tmp_path)).rate is None
    assert catalogue_bytes(tmp_path) == undisturbed
    (tmp_path / "run.json").unlink()
    run(arguments([tree], small_weights, tmp_path))
    assert catalogue_bytes(tmp_path) == undisturbed
    assert json.loads((tmp_path / "run.json").read_text())["spectra_this_run"] == 6


def test_a_complete_run_is_left_alone(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    first = run(arguments([tree], small_weights, tmp_path))
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    assert run(arguments([tree], small_weights, tmp_path)) == first
    assert {path: path.stat().st_mtime_ns for path in times} == times


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / f"{PRODUCT_NAMES['star']}.parquet").unlink(),
        lambda folder: os.truncate(folder / f"{PRODUCT_NAMES['visit']}.fits", 100),
        lambda folder: (folder / f"{PRODUCT_NAMES['star']}.fits").open("r+b").write(b"X"),
        lambda folder: (folder / "quarantine.parquet").write_bytes(b""),
        lambda folder: (folder / "run.json").write_text("{"),
        lambda folder: (folder / "run.json").write_text("[]"),
        lambda folder: (folder / "run.json").unlink(),
    ],
    ids=["gone", "cut", "changed", "empty", "record cut", "record empty", "record gone"],
)
def test_a_damaged_catalogue_is_written_again(
    damage: Callable[[Path], object], tree: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    run(arguments([tree], small_weights, tmp_path))
    damage(tmp_path)
    run(arguments([tree], small_weights, tmp_path))
    assert catalogue_bytes(tmp_path) == undisturbed
    assert json.loads((tmp_path / "run.json").read_text())["spectra_this_run"] == 0


@pytest.fixture
def own_tree(tree: Path, tmp_path: Path) -> Path:
    """The tree, to be changed."""
    return Path(shutil.copytree(tree, tmp_path / "tree"))


def test_a_file_that_has_changed_is_refused_by_name(own_tree: Path, small_weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    run(arguments([own_tree], small_weights, output, engine="null"))
    changed, other = resolve_inputs([str(own_tree)]).files[2:4]
    shutil.copyfile(other, changed)
    with pytest.raises(UsageError, match="has changed since its spectra were computed") as refused:
        run(arguments([own_tree], small_weights, output, engine="null"))
    assert changed in str(refused.value)
    shard = output / "shards" / "000001"
    assert str(shard) in str(refused.value)
    shutil.rmtree(shard)
    run(arguments([own_tree], small_weights, output, engine="null"))
    assert json.loads((output / "run.json").read_text())["spectra_this_run"] > 0


@pytest.mark.parametrize("length", [0, 5000, 500_000])
def test_a_file_that_was_half_copied_is_read_when_it_is_whole(
    length: int, own_tree: Path, small_weights: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    copied = Path(resolve_inputs([str(own_tree)]).files[2])
    whole, times = copied.read_bytes(), copied.stat()
    copied.write_bytes(whole[:length])
    run(arguments([own_tree], small_weights, output, engine="null"))
    assert str(copied) in pq.read_table(output / "quarantine.parquet")["path"].to_pylist()
    # As it is, nothing is tried again.
    record = (output / "run.json").read_bytes()
    run(arguments([own_tree], small_weights, output, engine="null"))
    assert (output / "run.json").read_bytes() == record
    copied.write_bytes(whole)
    os.utime(copied, ns=(times.st_atime_ns, times.st_mtime_ns))
    run(arguments([own_tree], small_weights, output, engine="null"))
    assert str(copied) not in pq.read_table(output / "quarantine.parquet")["path"].to_pylist()
    undisturbed = tmp_path / "undisturbed"
    run(arguments([own_tree], small_weights, undisturbed, engine="null"))
    assert catalogue_bytes(output) == catalogue_bytes(undisturbed)
    # From now on it is a file like any other.
    copied.write_bytes(whole + b"more")
    with pytest.raises(UsageError, match="has changed since its spectra were computed"):
        run(arguments([own_tree], small_weights, output, engine="null"))


def test_a_file_that_went_keeps_its_rows_and_one_that_came_back_gets_them(
    own_tree: Path, small_weights: Path, tmp_path: Path
) -> None:
    files = resolve_inputs([str(own_tree)]).files
    listing, output, away = tmp_path / "list.txt", tmp_path / "out", tmp_path / "away"
    listing.write_text("\n".join(files))
    words = [f"@{listing}"]
    os.rename(files[2], away)
    assert run(arguments(words, small_weights, output, engine="null")).reasons == {"missing_file": 2}
    os.rename(away, files[2])
    assert run(arguments(words, small_weights, output, engine="null")).reasons == {}
    os.rename(files[2], away)
    complete = catalogue_bytes(output)
    assert run(arguments(words, small_weights, output, engine="null")).reasons == {}
    assert catalogue_bytes(output) == complete


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"recipe": "astra-0.6"}, "recipe was 'dr19'"),
        ({"seed": 7}, "seed was 0"),
        ({"draws": 4}, "draws was 3"),
        ({"engine": "reference"}, "engine was 'cpu'"),
        ({"spectra": "star"}, "spectra was 'both'"),
        ({"shard_size": 3}, "shard_size was 2"),
    ],
    ids=str,
)
def test_a_changed_run_is_refused_by_name(
    changes: dict[str, object], word: str, tree: Path, small_weights: Path, tmp_path: Path
) -> None:
    run(arguments([tree], small_weights, tmp_path))
    before = catalogue_bytes(tmp_path)
    with pytest.raises(UsageError, match=word) as caught:
        run(arguments([tree], small_weights, tmp_path, **changes))
    assert "--restart" in str(caught.value)
    assert catalogue_bytes(tmp_path) == before


def test_changed_weights_and_inputs_are_refused_by_name(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    run(arguments([tree], small_weights, tmp_path / "out"))
    other = tmp_path / "other.safetensors"
    random_checkpoint(seed=2, architecture=SMALL).save(other)
    with pytest.raises(UsageError, match="weights was 'sha256 "):
        run(arguments([tree], other, tmp_path / "out"))
    with pytest.raises(UsageError, match="inputs was '7 files"):
        run(arguments([tree, tree / "apStar-more.fits"], small_weights, tmp_path / "out"))


def test_restart_discards_what_was_there(tree: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path) -> None:
    run(arguments([tree], small_weights, tmp_path, seed=7))
    run(arguments([tree], small_weights, tmp_path, restart=True))
    assert catalogue_bytes(tmp_path) == undisturbed


@pytest.mark.parametrize("product", ["star", "visit"])
def test_one_product_alone(
    product: Product, tree: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    run(arguments([tree], small_weights, tmp_path, spectra=product))
    assert [path.suffix for path in sorted(tmp_path.glob("astra*"))] == [".fits", ".parquet"]
    both = tmp_path / "both"
    run(arguments([tree], small_weights, both))
    assert table_bytes(catalogue(tmp_path, product)) == table_bytes(catalogue(both, product))


def test_shards_without_their_plan_are_not_adopted(
    tree: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    run(arguments([tree], small_weights, tmp_path, seed=7))
    (tmp_path / "shards" / "plan.json").unlink()
    run(arguments([tree], small_weights, tmp_path))
    assert catalogue_bytes(tmp_path) == undisturbed


@pytest.mark.parametrize("after", [0, 1, 5, 12])
def test_a_kill_while_discarding_mixes_nothing(
    after: int,
    tree: Path,
    small_weights: Path,
    undisturbed: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    removed = 0
    unlink = Path.unlink

    def remove_some(path: Path, **how: bool) -> None:
        nonlocal removed
        if removed == after:
            raise KeyboardInterrupt
        removed += 1
        unlink(path, **how)

    run(arguments([tree], small_weights, tmp_path, seed=7))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", remove_some)
        with pytest.raises(KeyboardInterrupt):
            run(arguments([tree], small_weights, tmp_path, restart=True))
    # Until all is discarded the folder is the old run's; the same command goes on.
    with pytest.raises(UsageError, match="seed was 7"):
        run(arguments([tree], small_weights, tmp_path))
    run(arguments([tree], small_weights, tmp_path, restart=True))
    assert catalogue_bytes(tmp_path) == undisturbed


@pytest.mark.parametrize("how", ["bit", "gone"])
def test_a_part_that_changes_during_the_run_is_done_again(
    how: str,
    tree: Path,
    small_weights: Path,
    undisturbed: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    changed = tmp_path / "shards" / "000001" / "visit.parquet"
    original, done = results.write_product, False

    def write(*given: Any, **more: Any) -> Any:
        nonlocal done
        if not done:
            done = True
            changed.unlink() if how == "gone" else flip(changed)
        return original(*given, **more)

    monkeypatch.setattr(results, "write_product", write)
    run(arguments([tree], small_weights, tmp_path))
    assert f"its shard is done again [{changed}]" in capfd.readouterr().err
    assert catalogue_bytes(tmp_path) == undisturbed


def test_a_disk_that_changes_every_part_stops_the_run(
    tree: Path, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(folder: Path, name: str, product: str, tables: Any, *given: Any, **more: Any) -> None:
        (tmp_path / "shards" / "000000" / "star.parquet").write_bytes(b"noise")
        list(tables)

    monkeypatch.setattr(results, "write_product", write)
    with pytest.raises(Stopped, match="change after they are written"):
        run(arguments([tree], small_weights, tmp_path, engine="null"))


def test_an_output_folder_that_goes_away_is_named(
    tree: Path, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    original = ShardStore.write

    def write(self: ShardStore, shard: int, *given: Any) -> Any:
        if shard == 2:
            shutil.rmtree(output)
        return original(self, shard, *given)

    monkeypatch.setattr(ShardStore, "write", write)
    with pytest.raises(Stopped, match="went away") as stopped:
        run(arguments([tree], small_weights, output, engine="null"))
    assert str(output) in str(stopped.value)


@pytest.mark.slow
def test_files_that_kill_their_readers_are_quarantined(
    tree: Path, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "read_spectra", die)
    summary = run(arguments([*tree.rglob("*.fits")][:1], small_weights, tmp_path, readers=1))
    assert summary.reasons == {"reader_died": 2}
    assert {row["reason"] for row in quarantine(tmp_path)} == {"reader_died"}


def die(path: str, products: object) -> None:
    """In place of a reader: end the process, as a crash inside a library does."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_many_shards_make_few_row_groups(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    run(arguments([tree], small_weights, tmp_path, shard_size=1))
    assert pq.ParquetFile(tmp_path / f"{PRODUCT_NAMES['visit']}.parquet").num_row_groups == 1


def test_tables_hold_a_bounded_number_of_rows(
    small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are gathered for the catalogues, whatever the number of shards: one is one row group."""
    from apnet_fast.pipeline import shards

    monkeypatch.setattr(shards, "_ROWS_OF_A_TABLE", 4)
    tree = simulate_tree(tmp_path / "tree", stars=12, layout="sdss5", visits=1, seed=2)
    run(arguments([tree], small_weights, tmp_path / "out", shard_size=1, engine="null"))
    groups = pq.ParquetFile(tmp_path / "out" / f"{PRODUCT_NAMES['star']}.parquet")
    assert [groups.metadata.row_group(i).num_rows for i in range(groups.num_row_groups)] == [4, 4, 4]


PEAK = """
import resource, sys
from apnet_fast.reprocess import app
try:
    app(sys.argv[1:])
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_memory(tree: Path, weights: Path, output: Path) -> float:
    """MB that a run of its own process took at the most."""
    words = command(tree, weights, output, "--engine", "null", "--shard-size", "10")[3:]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *words], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024) / 1e6


def linked(tree: Path, folder: Path, files: int) -> Path:
    """Ordinary stars under many names."""
    folder.mkdir()
    sources = sorted(tree.rglob("*Star-*.fits"))
    for number in range(files):
        os.link(sources[number % len(sources)], folder / f"apStar-dr17-2M{number:08d}+0000000.fits")
    return folder


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_files(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    few, many = (
        peak_memory(linked(tree, tmp_path / f"{files}", files), small_weights, tmp_path / f"out{files}")
        for files in (20, 200)
    )
    # The spectra of the 180 more files, kept, would be 41 MB of each of flux, error and their copies in a batch.
    assert many - few < 60


@pytest.mark.skipif(shutil.which("stilts") is None, reason="STILTS is not installed")
def test_stilts_reads_the_catalogues(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    run(arguments([tree], small_weights, tmp_path))
    for product, rows in (("star", 7), ("visit", 14)):
        path = tmp_path / f"{PRODUCT_NAMES[product]}.fits"  # type: ignore[index]
        command = ["stilts", "tpipe", f"in={path}#2", "ofmt=csv", "cmd=keepcols 'teff logg fe_h obj flag_bad'"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        assert len(lines) == 1 + rows
        for line, row in zip(lines[1:], catalogue(tmp_path, product).to_pylist(), strict=True):  # type: ignore[arg-type]
            teff, logg, fe_h, obj, flag_bad = line.split(",")
            assert (obj, flag_bad) == (row["obj"], str(row["flag_bad"]).lower())
            assert [float(teff), float(logg), float(fe_h)] == pytest.approx([row["teff"], row["logg"], row["fe_h"]])


REASONS = {
    "truncated": "truncated",
    "text_file": "not_fits",
    "empty": "empty_file",
    "missing": "missing_file",
    "wrong_length": "bad_layout",
}


@pytest.mark.parametrize("layout", ["legacy", "dr17", "sdss5"])
def test_every_edge_case_gets_its_row_and_reason(
    layout: str, broken_trees: dict[str, Path], small_weights: Path, tmp_path: Path
) -> None:
    tree = broken_trees[layout]
    truth = pq.read_table(tree / "truth.parquet").to_pylist()
    inputs = [tree / row["path"] for row in truth]
    summary = run(arguments([*inputs], small_weights, tmp_path, engine="null"))
    stars = {row["path"]: row for row in catalogue(tmp_path, "star").to_pylist()}
    assert summary.rows["star"] == len(truth)
    for row in truth:
        star = stars[str(tree / row["path"])]
        if not row["readable"]:
            assert star["reason"] == REASONS[row["case"]]
            assert star["file_row"] == -1
        elif row["case"] in ("no_data", "all_nan"):
            assert star["reason"] == "no_data"
        elif row["case"] != "dead_visit":
            assert star["reason"] == "", row["case"]
        assert np.isnan(star["teff"]) == bool(star["reason"])
        assert (star["result_flags"] == 2048) == bool(star["reason"])


@pytest.mark.parametrize("layout", ["legacy", "dr17", "sdss5"])
def test_quarantine_and_rows_without_result_are_the_same(
    layout: str, broken_trees: dict[str, Path], small_weights: Path, tmp_path: Path
) -> None:
    summary = run(arguments([broken_trees[layout]], small_weights, tmp_path, engine="null"))
    listed = sorted((row["product"], row["path"], row["row"], row["reason"]) for row in quarantine(tmp_path))
    flagged = sorted(
        (product, row["path"], row["file_row"], row["reason"])
        for product in ("star", "visit")
        for row in catalogue(tmp_path, product).to_pylist()
        if row["result_flags"] & 2048
    )
    assert listed == flagged
    assert len(listed) == summary.failures > 8
    assert all(row["text"] for row in quarantine(tmp_path))


def test_all_layouts_in_one_batch(broken_trees: dict[str, Path], small_weights: Path, tmp_path: Path) -> None:
    inputs: list[Path | str] = [*broken_trees.values()]
    summary = run(arguments(inputs, small_weights, tmp_path, batch_size=1000, shard_size=1000, engine="null"))
    alone = 0
    for layout, tree in broken_trees.items():
        alone += sum(run(arguments([tree], small_weights, tmp_path / layout, engine="null")).rows.values())
    assert sum(summary.rows.values()) == alone


def test_too_many_failures_stop_the_run_and_it_can_go_on(
    broken_trees: dict[str, Path], small_weights: Path, tmp_path: Path
) -> None:
    tree = broken_trees["dr17"]
    with pytest.raises(Stopped, match="--max-failures"):
        run(arguments([tree], small_weights, tmp_path, max_failures=3, engine="null"))
    assert not list(tmp_path.glob("astra*"))
    summary = run(arguments([tree], small_weights, tmp_path, max_failures=1000, engine="null"))
    assert summary.failures > 3


@pytest.mark.slow
def test_demo_weights_are_marked_on_real_stars_and_not_on_simulated_ones(
    data: Path, tree: Path, tmp_path: Path
) -> None:
    table = known_table("page")
    assert table is not None
    unreliable = next(bit.number for bit in table.bits if bit.name == "RESULT_UNRELIABLE")
    real = sorted((data / "apstar").rglob("*.fits"))[0]
    simulated = resolve_inputs([str(tree)]).files[0]
    for name, file, expected in (("real", real, True), ("simulated", simulated, False)):
        given = arguments([file], Path("demo"), tmp_path / name, spectra="star", draws=2)
        summary = run(given)
        flags = catalogue(tmp_path / name, "star")["result_flags"].to_pylist()
        assert [bool(flag >> unreliable & 1) for flag in flags] == [expected]
        assert "for simulated spectra only" in summary.warnings[-1]
        assert run(given).warnings == summary.warnings  # said again if nothing is left to do
        header = fits.getheader(tmp_path / name / f"{PRODUCT_NAMES['star']}.fits")
        assert header["WUSE"].startswith("simulated spectra only")


def test_flux_on_another_scale_is_counted_and_said(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    source = resolve_inputs([str(tree)]).files[0]
    (tmp_path / "in").mkdir()
    scaled = Path(shutil.copy(source, tmp_path / "in"))
    assert run(arguments([scaled], small_weights, tmp_path / "plain")).warnings == ()
    with fits.open(scaled, mode="update") as file:
        for hdu in (1, 2):
            file[hdu].data = (file[hdu].data * 1e-17).astype(np.float32)
    summary = run(arguments([scaled], small_weights, tmp_path / "scaled"))
    assert summary.flux.implausible == summary.flux.spectra == 3
    assert "3 of 3 spectra have a median flux outside" in summary.warnings[0]
    assert stored_record(tmp_path / "scaled")["flux"]["implausible"] == 3


def test_run_json_says_what_was_done(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    run(arguments([tree], small_weights, tmp_path))
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["rows"] == {"star": 7, "visit": 14}
    assert record["spectra_per_second"] > 0
    assert record["fingerprint"]["recipe"] == "dr19"
    assert record["weights"]["sha256"] in record["fingerprint"]["weights"]
    assert {"reading", "engine", "writing", "catalogues"} <= set(record["stage_seconds"])
    assert record["machine"]["torch"] == torch.__version__


def test_file_names_that_are_no_text(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    source = sorted(tree.rglob("*.fits"))[0]
    (tmp_path / "in").mkdir()
    for name in (b"apStar-dr17-\xff.fits", "apStar-dr17-é.fits".encode()):
        (tmp_path / "in" / os.fsdecode(name)).write_bytes(source.read_bytes())
    run(arguments([tmp_path / "in"], small_weights, tmp_path / "out"))
    rows = catalogue(tmp_path / "out", "star").to_pylist()
    assert [Path(row["path"]).name for row in rows] == ["apStar-dr17-é.fits", "apStar-dr17-\\xff.fits"]
    assert [row["reason"] for row in rows] == ["", ""]
    Table.read(tmp_path / "out" / f"{PRODUCT_NAMES['star']}.fits", hdu=2, unit_parse_strict="silent")


def test_a_table_of_sources_fills_columns_and_belongs_to_the_run(
    tree: Path, small_weights: Path, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    run(arguments([tree], small_weights, plain))
    stars = pq.read_table(plain / f"{PRODUCT_NAMES['star']}.parquet", columns=["obj", "telescope", "field"])
    magnitudes = pa.array(np.arange(len(stars)) + 8.0)
    path = tmp_path / "allStar.parquet"
    pq.write_table(stars.append_column("j_mag", magnitudes), path)

    output = tmp_path / "filled"
    run(arguments([tree], small_weights, output, catalog=path))
    filled = pq.read_table(output / f"{PRODUCT_NAMES['star']}.parquet")
    assert filled["j_mag"].to_pylist() == magnitudes.to_pylist()
    assert filled["teff"].to_pylist() == pq.read_table(plain / f"{PRODUCT_NAMES['star']}.parquet")["teff"].to_pylist()
    record = json.loads((output / "run.json").read_text())
    assert record["catalog"]["rows_by_match"] == {"star": {"spectrum": 7}, "visit": {"source": 14}}
    with fits.open(output / f"{PRODUCT_NAMES['visit']}.fits", checksum=True) as file:
        assert file[0].header["CSHA256"] in record["fingerprint"]["catalog"]
        assert np.isfinite(file[2].data["j_mag"]).all()

    pq.write_table(stars.append_column("j_mag", pa.array(np.arange(len(stars)) + 9.0)), path)
    with pytest.raises(UsageError, match="catalog was 'sha256"):
        run(arguments([tree], small_weights, output, catalog=path))


def test_catalog_that_is_no_file_is_refused(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--catalog is not a file"):
        arguments([tree], small_weights, tmp_path, catalog=tmp_path / "nowhere.fits")
