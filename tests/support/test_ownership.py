"""A name is no proof of who made a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from apnet_fast.support.errors import UsageError
from apnet_fast.support.ownership import check_ours

NAMES = [f"{number}.dat" for number in range(9)]


def test_files_in_the_way_are_named_unless_they_are_ours(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    check_ours(tmp_path, NAMES, False, "the test")
    for name in NAMES[:7]:
        (tmp_path / name).touch()
    check_ours(tmp_path, NAMES, True, "the test")
    with pytest.raises(UsageError, match=r"the test would overwrite .*got 0\.dat, .*4\.dat and 2 more"):
        check_ours(tmp_path, NAMES, False, "the test")


@pytest.mark.parametrize("kind", ["folder", "link to nothing"])
def test_whatever_stands_there_counts(kind: str, tmp_path: Path) -> None:
    if kind == "folder":
        (tmp_path / NAMES[0]).mkdir()
    else:
        (tmp_path / NAMES[0]).symlink_to("nothing")
    with pytest.raises(UsageError, match=r"got 0\.dat"):
        check_ours(tmp_path, NAMES, False, "the test")


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    check_ours(tmp_path / "none", NAMES, False, "the test")
