"""One storm of each kind, and proof that storms notice what they look for."""

from __future__ import annotations

import random
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fuzz.storms import Sound, Storm, _group_ends, full_disk, kill_storm, may_mount, table


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    return Sound.make(tmp_path_factory.mktemp("sound"))


@pytest.mark.slow
def test_a_kill_storm_loses_nothing(sound: Sound, tmp_path: Path) -> None:
    storm = kill_storm(sound, tmp_path / "out", random.Random(1), most_kills=2)
    assert storm.fault == ""
    assert storm.strikes > 0


@pytest.mark.slow
def test_a_full_disk_loses_nothing(sound: Sound, tmp_path: Path) -> None:
    if not may_mount():
        pytest.skip("only root may mount small disks")
    storm = full_disk(sound, tmp_path / "disk", random.Random(1))
    assert storm.fault == ""
    assert storm.strikes > 0


@pytest.mark.slow
def test_another_catalogue_is_noticed(sound: Sound, tmp_path: Path) -> None:
    other = replace(sound, content=sound.content[:-1] + b"x", seconds=0.0)
    storm = kill_storm(other, tmp_path / "out", random.Random(2), most_kills=0)
    assert storm.fault == "another catalogue"


def test_processes_that_have_ended_are_noticed() -> None:
    with subprocess.Popen(["sleep", "0.2"], start_new_session=True) as process:
        process.wait()
    assert _group_ends(process.pid)


def test_the_table_counts() -> None:
    lines = table({"kills": [Storm(3, ""), Storm(2, "another catalogue")]}).splitlines()
    assert lines[2] == "| kills | 2 | 5 | 1 | 1 |"
