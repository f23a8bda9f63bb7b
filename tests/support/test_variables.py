"""Environment variables: set, blank, and folders that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from apnet_fast.support.variables import ASTRA, RECIPE, SAS, VARIABLES, cache_folder, folder_of, state_of, value_of


def test_a_blank_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert value_of(RECIPE) is None
    monkeypatch.setenv(RECIPE, "  ")
    assert value_of(RECIPE) is None
    monkeypatch.setenv(RECIPE, " dr19 ")
    assert value_of(RECIPE) == "dr19"


def test_a_folder_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_of(SAS) is None
    assert state_of(SAS) == "SAS_BASE_DIR is not set"
    monkeypatch.setenv(SAS, str(tmp_path))
    assert folder_of(SAS) == tmp_path
    assert state_of(SAS) == f"SAS_BASE_DIR is {tmp_path}"
    (tmp_path / "file").touch()
    monkeypatch.setenv(SAS, str(tmp_path / "file"))
    assert folder_of(SAS) is None
    assert state_of(SAS).endswith("file, which is not a folder")


def test_the_cache_follows_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "apnet_fast"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "apnet_fast"


def test_every_variable_says_what_it_gives() -> None:
    assert {SAS, ASTRA} < set(VARIABLES)
    assert all(VARIABLES.values())
