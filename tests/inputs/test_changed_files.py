"""Files that come back, change or go between two commands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apnet_fast.inputs.changed_files import marked_as_useless, none_came_back, state_of
from apnet_fast.support.errors import UsageError


def test_the_state_is_size_and_time_of_change(tmp_path: Path) -> None:
    file = tmp_path / "a.fits"
    file.write_bytes(b"12345")
    os.utime(file, ns=(1, 77))
    assert state_of(str(file)) == "5:77"


@pytest.mark.parametrize("name", ["gone.fits", "zero\0byte.fits", "000000.arrow"])
def test_files_that_are_not_there_and_files_of_packs_have_no_state(name: str, tmp_path: Path) -> None:
    (tmp_path / "000000.arrow").touch()
    assert state_of(str(tmp_path / name)) == ""


def test_a_missing_file_that_has_come_back_is_noticed(tmp_path: Path) -> None:
    missing, present = tmp_path / "missing.fits", tmp_path / "present.fits"
    present.write_bytes(b"1")
    states = [(str(path), state_of(str(path))) for path in (missing, present)]
    assert none_came_back(states, "000000.json")
    missing.write_bytes(b"2")
    assert not none_came_back(states, "000000.json")


def test_a_file_that_has_gone_does_not_matter_and_one_that_has_changed_does(tmp_path: Path) -> None:
    file = tmp_path / "a.fits"
    file.write_bytes(b"1")
    states = [(str(file), state_of(str(file)))]
    file.write_bytes(b"12")
    with pytest.raises(UsageError, match=r"has changed since its spectra were computed; got .*a\.fits.*000003\.json"):
        none_came_back(states, "000003.json")
    file.unlink()
    assert none_came_back(states, "000003.json")


@pytest.mark.parametrize("useless", [True, False])
def test_a_file_that_gave_nothing_may_change(useless: bool, tmp_path: Path) -> None:
    file = tmp_path / "a.fits"
    file.write_bytes(b"half")
    state = state_of(str(file))
    states = [(str(file), marked_as_useless(state) if useless else state)]
    assert none_came_back(states, "000003.json")
    file.write_bytes(b"the whole of it")
    if useless:
        assert not none_came_back(states, "000003.json")
    else:
        with pytest.raises(UsageError, match="has changed"):
            none_came_back(states, "000003.json")
    file.unlink()
    assert none_came_back(states, "000003.json")


def test_a_missing_file_has_no_mark(tmp_path: Path) -> None:
    assert marked_as_useless("") == ""
