"""Attempts: names that never meet, and a clean-up that spares every writer that lives."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from apnet_fast.support import attempts
from apnet_fast.support.attempts import end_attempt, is_left_by_nfs, name_of_attempt, new_attempt, remove_stale_attempts


def attempt_of(folder: Path, name: str, host: str, pid: int, *, days: float = 0) -> Path:
    """An attempt that another process left, so old."""
    path = folder / f"{name}.{host}-{pid}-99999.partial"
    path.touch()
    then = time.time() - 86_400 * days
    os.utime(path, (then, then))
    return path


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_each_attempt_has_a_name_of_its_own_and_tells_its_file(tmp_path: Path) -> None:
    names = {new_attempt(tmp_path / "000001.star.parquet").name for _ in range(3)}
    assert len(names) == 3
    assert {name_of_attempt(name) for name in names} == {"000001.star.parquet"}
    assert name_of_attempt("notes.partial") is None
    assert name_of_attempt("000001.star.parquet") is None


def test_only_attempts_of_writers_that_are_gone_are_removed(tmp_path: Path, dead: int) -> None:
    here, alive = attempts._host(), os.getppid()
    gone = [
        attempt_of(tmp_path, "a", here, dead),
        attempt_of(tmp_path, "a", here, os.getpid()),  # of an earlier process with our number
        attempt_of(tmp_path, "a", "elsewhere", 1, days=1.1),
        attempt_of(tmp_path, "b", here, alive, days=1.1),
    ]
    kept = [
        attempt_of(tmp_path, "a", here, alive),
        attempt_of(tmp_path, "a", "elsewhere", dead),
        attempt_of(tmp_path, "foreign", here, dead, days=9),
        tmp_path / "a.partial",
        tmp_path / "a",
    ]
    for path in kept[-2:]:
        path.touch()
        os.utime(path, (0, 0))
    ours = new_attempt(tmp_path / "a")
    ours.touch()
    remove_stale_attempts(tmp_path, lambda name: name in ("a", "b"))
    assert [path for path in gone if path.exists()] == []
    assert [path for path in (*kept, ours) if not path.exists()] == []
    end_attempt(ours, remove=True)
    assert not ours.exists()


def test_names_that_clients_of_nfs_give_are_known() -> None:
    assert is_left_by_nfs(".nfs00000000008ae1c700000001")
    assert not any(map(is_left_by_nfs, [".nfsnotes", ".nfs", ".nfs0123", "nfs00000000008ae1c700000001"]))
