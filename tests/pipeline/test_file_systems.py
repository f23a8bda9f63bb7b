"""Runs on file systems of clusters, played by a shim before the C library: no locks, no modes, no fsync."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from apnet_fast.pipeline.run import run
from apnet_fast.spectra.pack import is_pack
from tests.pipeline.runs import arguments, catalogue_bytes
from tests.pipeline.test_run import command


@pytest.fixture(scope="module")
def shim(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled shim; skips without its source or a compiler."""
    source = data.parent / "tools" / "faulty_fs.c"
    if not source.is_file() or shutil.which("gcc") is None:
        pytest.skip("needs gcc, and faulty_fs.c beside the test data")
    library = tmp_path_factory.mktemp("shim") / "faulty_fs.so"
    words = ["gcc", "-shared", "-fPIC", "-D_LARGEFILE64_SOURCE", "-o", str(library), str(source), "-ldl"]
    subprocess.run(words, check=True, capture_output=True)
    return library


def run_on(
    shim: Path, faults: str, where: Path, tree: Path, weights: Path, output: Path
) -> subprocess.CompletedProcess[str]:
    """Run the command while these faults happen to files below a folder."""
    return subprocess.run(
        command(tree, weights, output, "--engine", "null"),
        env={**os.environ, "SHIM": faults, "SHIMDIR": str(where), "LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
        timeout=180,
    )


@pytest.fixture(scope="module")
def undisturbed(tree: Path, small_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    output = tmp_path_factory.mktemp("undisturbed")
    run(arguments([tree], small_weights, output, engine="null"))
    return catalogue_bytes(output)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("faults", "warnings"),
    [("flock", 0), ("flock,enolck", 0), ("chmod", 0), ("fsync", 1)],
)
def test_comforts_that_are_missing_cost_a_warning_at_most(
    faults: str, warnings: int, shim: Path, tree: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "faulty" / "out"
    done = run_on(shim, faults, output.parent, tree, small_weights, output)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning: ") == warnings
    assert not warnings or str(output) in done.stderr
    assert catalogue_bytes(output) == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize(("faults", "code"), [("fsync", 0), ("chmod", 0), ("fsync,fsyncEIO", 4)])
def test_packs_on_such_file_systems(faults: str, code: int, shim: Path, tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "faulty" / "pack"
    done = subprocess.run(
        [sys.executable, "-m", "apnet_fast.pack", str(tree), "--output", str(output)],
        env={**os.environ, "SHIM": faults, "SHIMDIR": str(output.parent), "LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == code, done.stderr
    assert done.stderr.count("warning: ") == (1 if faults == "fsync" else 0)
    assert faults == "chmod" or str(output) in done.stderr
    assert is_pack(str(output)) == (code == 0)


@pytest.mark.slow
def test_a_disk_that_fails_stops_the_run_with_the_path(
    shim: Path, tree: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "faulty" / "out"
    done = run_on(shim, "fsync,fsyncEIO", output.parent, tree, small_weights, output)
    assert done.returncode == 4, done.stderr
    assert "Input/output error" in done.stderr
    assert str(output) in done.stderr
    assert "Traceback" not in done.stderr
    again = subprocess.run(
        command(tree, small_weights, output, "--engine", "null"), capture_output=True, text=True, timeout=180
    )
    assert again.returncode == 0, again.stderr
    assert catalogue_bytes(output) == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["stale", "eio"])
def test_files_with_a_passing_error_are_tried_again_by_the_same_command(
    fault: str, shim: Path, tree: Path, small_weights: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    done = run_on(shim, fault, tree, tree, small_weights, output)
    assert done.returncode == 3, done.stderr
    assert "io_error" in done.stderr
    again = subprocess.run(
        command(tree, small_weights, output, "--engine", "null"), capture_output=True, text=True, timeout=180
    )
    assert again.returncode == 0, again.stderr
    assert catalogue_bytes(output) == undisturbed
