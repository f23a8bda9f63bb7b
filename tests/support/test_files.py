"""Files appear complete or not at all; an output folder has one run at a time."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import locked, write_json, written_whole


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")

    def write_half() -> None:
        with written_whole(path) as partial:
            partial.write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"


def test_a_finished_write_replaces_it(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_locked_folder_refuses_a_second_run(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(UsageError, match="another run"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_file_may_be_read_by_whom_the_umask_allows(tmp_path: Path) -> None:
    with written_whole(tmp_path / "a") as partial:
        partial.touch(mode=0o600)
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_json_has_null_for_what_is_no_number(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1.5, math.nan, (math.inf,)], "c": {"d": -math.inf}})
    assert json.loads((tmp_path / "a.json").read_text()) == {"b": [1.5, None, [None]], "c": {"d": None}}
