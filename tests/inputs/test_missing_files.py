"""A sample of a table's files is looked for before they are read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apnet_fast.inputs.missing_files import look_for, names_on_disk
from tests.inputs.named import touch


def test_the_sample_is_spread_over_all_files(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    monkeypatch.setattr(os.path, "lexists", lambda path: looked.append(path) or True)
    files = [f"{i:06d}.fits" for i in range(123_456)]
    sample = look_for(files)
    assert 900 <= sample.looked_for <= 1000
    assert looked[0] == files[0]
    assert int(looked[-1][:6]) > 123_000
    assert not sample.mostly_missing


@pytest.mark.parametrize(("present", "mostly"), [(0, True), (4, True), (5, False), (10, False)])
def test_most_files_may_be_missing(present: int, mostly: bool, tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.fits" for i in range(10)]
    for file in files[:present]:
        touch(file)
    sample = look_for([str(file) for file in files])
    assert (len(sample.missing), sample.mostly_missing) == (10 - present, mostly)


def test_packed_files_are_found_by_their_plain_names(tmp_path: Path) -> None:
    touch(tmp_path / "a.fits.gz")
    touch(tmp_path / "b.fits.fz")
    touch(tmp_path / "c.fits")
    touch(tmp_path / "c.fits.gz")
    touch(tmp_path / "other" / "a.fits")
    touch(tmp_path / "other" / "d.fits.gz")
    names = [str(tmp_path / name) for name in ("a.fits", "b.fits", "c.fits", "d.fits", "none/a.fits", "other/a.fits")]
    there = [os.path.relpath(name, tmp_path) for name in names_on_disk(names)]
    assert there == ["a.fits.gz", "b.fits.fz", "c.fits", "d.fits", "none/a.fits", "other/a.fits"]


def test_names_without_a_folder_are_of_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a.fits.gz")
    monkeypatch.chdir(tmp_path)
    assert names_on_disk(["a.fits", "b.fits"]) == ["a.fits.gz", "b.fits"]


def test_every_file_is_looked_for_however_many_there_are(tmp_path: Path) -> None:
    """One packed file among thousands lies between those of any sample."""
    names = [str(tmp_path / f"{i:05d}.fits") for i in range(5000)]
    for odd in (1, 2500, 4999):
        touch(Path(f"{names[odd]}.gz"))
    there = names_on_disk(names)
    assert [i for i, name in enumerate(there) if name.endswith(".gz")] == [1, 2500, 4999]


def test_folders_that_cannot_be_listed_may_be_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a.fits.gz")
    touch(tmp_path / "b.fits")

    def refuse(folder: str) -> list[str]:
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr(os, "listdir", refuse)
    names = [str(tmp_path / name) for name in ("a.fits", "b.fits", "c.fits")]
    assert [os.path.basename(name) for name in names_on_disk(names)] == ["a.fits.gz", "b.fits", "c.fits"]


@pytest.mark.parametrize("odd", ["a\0b", "a\ud800b"])
def test_names_that_no_file_can_have_are_not_there(odd: str, tmp_path: Path) -> None:
    (tmp_path / "a.fits.gz").touch()
    files = [f"{tmp_path}/{odd}/a.fits", f"{tmp_path}/{odd}.fits", f"{tmp_path}/a.fits"]
    assert names_on_disk(files) == [*files[:2], f"{tmp_path}/a.fits.gz"]
    assert look_for(files[:2]).missing == tuple(files[:2])
