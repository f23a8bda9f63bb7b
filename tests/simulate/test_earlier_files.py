"""A simulation replaces files of an earlier one, and no others."""

from __future__ import annotations

import os
import re
from pathlib import Path

import fitsio
import numpy as np
import pytest

from apnet_fast.simulate import simulate_tree
from apnet_fast.simulate.tree import TRUTH_FILE
from apnet_fast.support.attempts import _host
from apnet_fast.support.errors import UsageError
from tests.simulate.simulated_trees import contents


def again(tree: Path, layout: str) -> None:
    simulate_tree(tree, stars=2, layout=layout, visits=1, seed=3, edge_cases=True)


def names_of(tree: Path) -> list[str]:
    return [path.name for path in sorted(tree.rglob("*")) if path.name != TRUTH_FILE and not path.is_dir()]


def test_a_simulation_that_was_killed_is_done_again(tmp_path: Path, layout_name: str) -> None:
    again(tmp_path, layout_name)
    before, names = contents(tmp_path), names_of(tmp_path)
    (tmp_path / TRUTH_FILE).unlink()
    dead = 2**22 + 1  # no process has this number
    left = next(path for path in sorted(tmp_path.rglob("*.fits")) if path.is_file())
    for path in (left, tmp_path / TRUTH_FILE):
        path.with_name(f"{path.name}.{_host()}-{dead}-0.partial").write_text("half")
    notes = left.with_name(f"notes.txt.{_host()}-{dead}-0.partial")
    notes.write_text("mine")
    again(tmp_path, layout_name)
    assert notes.read_text() == "mine"
    notes.unlink()
    assert contents(tmp_path) == before
    assert names_of(tmp_path) == names


@pytest.mark.parametrize("kind", ["text", "real", "link", "folder", "card in the data"])
def test_a_file_of_the_user_in_a_planned_place_stays(kind: str, tmp_path: Path, layout_name: str) -> None:
    again(tmp_path / "first", layout_name)
    name = next(path for path in sorted((tmp_path / "first").rglob("*.fits")) if path.is_file()).relative_to(
        tmp_path / "first"
    )
    mine = tmp_path / "second" / name
    mine.parent.mkdir(parents=True)
    (tmp_path / "mine.fits").write_text("mine")
    if kind == "text":
        mine.write_text("mine")
    elif kind == "real":
        fitsio.write(str(mine), np.zeros(5), header={"SIMULATD": False, "OBJECT": "SIMULATD= T"})
    elif kind == "link":
        mine.symlink_to(tmp_path / "mine.fits")
    elif kind == "folder":
        mine.mkdir()
    else:
        mine.write_bytes(b" " * 79 + b"SIMULATD=                    T")
    state, content = mine.lstat(), mine.read_bytes() if mine.is_file() else b""
    with pytest.raises(UsageError, match=f"the simulation would overwrite.*{re.escape(mine.name)}"):
        again(tmp_path / "second", layout_name)
    assert os.path.samestat(mine.lstat(), state)
    assert (mine.read_bytes() if mine.is_file() else b"") == content
    assert not (tmp_path / "second" / TRUTH_FILE).exists()
    assert (tmp_path / "mine.fits").read_text() == "mine"


@pytest.mark.parametrize("name", ["truth.partial", "notes.txt", "truth.parquet.partial"])
def test_other_files_of_the_user_stay(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    simulate_tree(tmp_path, stars=1, layout="dr17", visits=1)
    assert (tmp_path / name).read_text() == "mine"


def test_whatever_has_the_name_of_the_truth_stays(tmp_path: Path) -> None:
    (tmp_path / TRUTH_FILE).symlink_to("nothing")
    with pytest.raises(UsageError, match="already holds"):
        simulate_tree(tmp_path, stars=1, layout="dr17", visits=1)
    assert (tmp_path / TRUTH_FILE).is_symlink()
