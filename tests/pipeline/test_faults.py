"""Faults made to happen: nothing is lost, and the same command goes on to the same catalogues."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.pipeline.run import run
from apnet_fast.readers import pool as readers
from apnet_fast.spectra import Product, SpectrumBatch, read_apstar
from apnet_fast.support.lock import locked
from tests.pipeline.runs import arguments, catalogue_bytes, quarantine, stored_shards
from tests.pipeline.test_run import command
from tests.pipeline.test_shards import MARKERS, changed_marker

# Of a file that is written: before it is flushed, before and after it is renamed.
OF_A_FILE = 3
# Its marker, as a file; flushing it and its parts (star, quarantine); renaming the folder.
OF_A_SHARD = OF_A_FILE + 3 + 2
# The lock that is taken and released, the plan, two shards, FITS, Parquet, quarantine.parquet, run.json.
WRITE_POINTS = 2 * 2 + OF_A_FILE + 2 * OF_A_SHARD + 4 * OF_A_FILE


@pytest.fixture(scope="module")
def three(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three stars, two shards."""
    folder = tmp_path_factory.mktemp("three")
    for source in resolve_inputs([str(tree)]).files[:3]:
        os.link(source, folder / os.path.basename(source))
    return folder


@pytest.fixture(scope="module")
def undisturbed(three: Path, small_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The catalogues of a run that nothing disturbed."""
    output = tmp_path_factory.mktemp("undisturbed")
    run(arguments([three], small_weights, output, engine="null"))
    return catalogue_bytes(output)


@pytest.mark.slow
def test_kill_9_at_every_write_point(three: Path, small_weights: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.pipeline.kill_points", str(three), str(small_weights), str(tmp_path)]
    root = Path(__file__).parents[2]
    done = subprocess.run(words, cwd=root, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    *killed, untouched, again = (line.split() for line in done.stdout.splitlines())
    assert len(killed) == WRITE_POINTS
    assert {tuple(codes) for _, *codes in killed} == {("-9", "0")}
    assert untouched[1:] == ["0", "0"]
    assert again == ["again", "-9", "0"]
    undisturbed = catalogue_bytes(tmp_path / untouched[0], ["star"])
    for name, *_ in [*killed, again]:
        assert catalogue_bytes(tmp_path / name, ["star"]) == undisturbed, name
        assert not list((tmp_path / name).rglob("*.partial")), name


def fail_at(number: int, error: OSError) -> Callable[..., None]:
    """In place of a function: the call of that number, from 0, raises."""
    count = -1

    def write(*given: object, **more: object) -> None:
        nonlocal count
        count += 1
        if count == number:
            raise error
        original(*given, **more)

    original = pq.write_table
    return write


@pytest.mark.parametrize("number", [0, 2, 4])
def test_a_full_disk_stops_a_shard_and_the_run_can_go_on(
    number: int,
    three: Path,
    small_weights: Path,
    undisturbed: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        patch.setattr("apnet_fast.pipeline.shards.pq.write_table", fail_at(number, full))
        with pytest.raises(OSError, match="No space left"):
            run(arguments([three], small_weights, tmp_path, engine="null"))
    assert len(stored_shards(tmp_path)) == number // 3
    assert not list(tmp_path.rglob("*.partial"))
    run(arguments([three], small_weights, tmp_path, engine="null"))
    assert catalogue_bytes(tmp_path) == undisturbed


def test_a_disk_that_fills_while_catalogues_are_written(
    three: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("apnet_fast.catalog.products.write_fits", fail)
        with pytest.raises(OSError, match="No space left"):
            run(arguments([three], small_weights, tmp_path, engine="null"))
    assert not list(tmp_path.glob("astra*"))
    run(arguments([three], small_weights, tmp_path, engine="null"))
    assert catalogue_bytes(tmp_path) == undisturbed


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 128 KiB; skips where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_real_full_disk(three: Path, small_weights: Path, undisturbed: bytes, small_disk: Path) -> None:
    """A run that does not fit exits with 4 and a remedy; with room the same command goes on."""
    output = small_disk / "out"
    words = command(three, small_weights, output, "--engine", "null")
    (small_disk / "filler").write_bytes(bytes(40_000))
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 4, done.stderr
    assert "make room" in done.stderr
    assert "Traceback" not in done.stderr
    (small_disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    again = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert again.returncode == 0, again.stderr
    assert catalogue_bytes(output) == undisturbed


@pytest.mark.parametrize("what", ["rows", "no widths", "reason"])
def test_a_shard_whose_marker_is_wrong_about_its_parts_is_done_again(
    what: str,
    three: Path,
    small_weights: Path,
    undisturbed: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = arguments([three], small_weights, tmp_path, engine="null")
    run(given)
    changed_marker(stored_shards(tmp_path)[0], MARKERS[what])
    for product in tmp_path.glob("astra*"):
        product.unlink()
    summary = run(given)
    assert "a part has changed since it was written; its shard is done again" in capsys.readouterr().err
    assert catalogue_bytes(tmp_path) == undisturbed
    assert summary.failures == len(quarantine(tmp_path)) == 0


@pytest.fixture
def own_three(three: Path, tmp_path: Path) -> list[Path]:
    """Copies of the three stars, to be damaged."""
    (tmp_path / "in").mkdir()
    return [Path(shutil.copy(path, tmp_path / "in")) for path in sorted(three.iterdir())]


def test_files_that_vanish_or_are_cut_while_the_run_goes(
    own_three: list[Path], small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: str, products: Sequence[Product]) -> SpectrumBatch:
        if path == str(own_three[0]):
            own_three[1].unlink()
            os.truncate(own_three[2], 500_000)
        return read_apstar(path, products)

    monkeypatch.setattr(readers, "read_spectra", read)
    summary = run(arguments([tmp_path / "in"], small_weights, tmp_path / "out", engine="null"))
    assert summary.rows == {"star": 3, "visit": 2 + 1 + 2}
    assert sorted((row["path"], row["reason"]) for row in quarantine(tmp_path / "out")) == [
        *[(str(own_three[1]), "missing_file")] * 2,
        *[(str(own_three[2]), "truncated")] * 3,
    ]


@pytest.mark.slow
def test_a_second_run_on_one_folder_is_refused(three: Path, small_weights: Path, tmp_path: Path) -> None:
    with locked(tmp_path):
        done = subprocess.run(
            command(three, small_weights, tmp_path, "--engine", "null"),
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert done.returncode == 2
    assert "another run" in done.stderr


def test_what_a_stage_raises_ends_the_run_and_leaves_no_thread(
    three: Path, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    def fail(path: str, products: Sequence[Product]) -> SpectrumBatch:
        raise RuntimeError("a mistake of the programmer")

    before = threading.active_count()
    monkeypatch.setattr(readers, "read_spectra", fail)
    with pytest.raises(RuntimeError, match="a mistake"):
        run(arguments([three], small_weights, tmp_path, engine="null"))
    assert threading.active_count() == before
