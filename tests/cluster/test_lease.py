"""Engines end with their coordinator, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from apnet_fast.cluster import lease
from apnet_fast.cluster.lease import PREFIX, Lease

FOLLOWER = """
import sys, time
from pathlib import Path
from apnet_fast.cluster import lease
lease._SECONDS_BETWEEN_LOOKS = 0.05
lease._SECONDS_OF_PATIENCE = 2.0
lease.follow(Path(sys.argv[1]))
print("follows", flush=True)
time.sleep(300)
"""


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lease]:
    monkeypatch.setattr(lease, "_SECONDS_PER_TOUCH", 0.1)
    made = Lease(tmp_path, "run")
    made.take()
    yield made
    made.release()


@pytest.fixture
def follower(taken: Lease) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", FOLLOWER, str(taken.file)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "follows\n"
    yield process
    process.kill()
    process.communicate(timeout=60)


def test_it_lives_while_the_lease_is_touched_and_ends_when_it_is_released(
    taken: Lease, follower: subprocess.Popen[str]
) -> None:
    time.sleep(3)  # longer than its patience
    assert follower.poll() is None
    taken.release()
    assert follower.wait(60) == 0
    assert not taken.file.exists()


def test_it_ends_some_time_after_a_coordinator_that_was_killed(taken: Lease, follower: subprocess.Popen[str]) -> None:
    taken._released.set()  # nobody touches it any more, and it is still there
    assert follower.wait(60) == 0
    assert taken.file.exists()


def test_leases_of_a_day_ago_are_removed(tmp_path: Path) -> None:
    old, young = tmp_path / f"{PREFIX}old", tmp_path / f"{PREFIX}young"
    for path in (old, young):
        path.touch()
    os.utime(old, (0, 0))
    made = Lease(tmp_path, "mine")
    made.take()
    made.release()
    assert [path.name for path in tmp_path.iterdir()] == [young.name]


def test_what_is_no_lease_stays_however_old(tmp_path: Path) -> None:
    photo, folder, link = (tmp_path / f"{PREFIX}{name}" for name in ("photo.jpg", "folder", "link"))
    photo.write_text("mine")
    folder.mkdir()
    (tmp_path / "empty").touch()
    link.symlink_to(tmp_path / "empty")
    for path in (photo, folder, link):
        os.utime(path, (0, 0), follow_symlinks=False)
    os.utime(tmp_path / "empty", (0, 0))
    made = Lease(tmp_path, "mine")
    made.take()
    made.release()
    assert {photo, folder, link} <= set(tmp_path.iterdir())
