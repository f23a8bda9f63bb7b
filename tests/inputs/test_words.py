"""From INPUT words to files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.spectra.pack import Manifest, PackedFile
from apnet_fast.support.errors import UsageError
from tests.inputs.named import names, touch


def test_order_and_repetition_of_words_do_not_matter(tmp_path: Path) -> None:
    one, two = (touch(tmp_path / f"apStar-dr17-2M{i}.fits") for i in (1, 2))
    expected = resolve_inputs([str(one), str(two)])
    assert resolve_inputs([str(two), str(tmp_path), str(one), str(two)]) == expected


def test_a_folder_with_a_manifest_is_a_pack_and_not_walked(tmp_path: Path) -> None:
    folder = touch(tmp_path / "folder" / "apStar-dr17-2M1.fits").parent
    Manifest("", 0, {name: PackedFile("", 0, 1, 1) for name in ("000000.arrow", "000001.arrow")}, 6).write(folder)
    assert names([folder]) == ["000000.arrow", "000001.arrow"]
    # Below a folder that is walked a pack has to be named, or its spectra would be there twice.
    assert names([tmp_path]) == ["apStar-dr17-2M1.fits"]


def test_a_named_file_that_is_no_fits_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not a FITS file.*@.*, if it is a list"):
        resolve_inputs([str(touch(tmp_path / "list.txt"))])


def test_packed_files_are_taken_by_name(tmp_path: Path) -> None:
    packed = ["apStar-dr17-2M1.fits.gz", "apStar-dr17-2M2.fits.fz"]
    assert names([touch(tmp_path / name) for name in packed]) == packed


def test_what_is_no_regular_file_is_refused_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.fits")
    for word in (str(tmp_path / "pipe.fits"), "/dev/zero", f"@{tmp_path}/pipe.fits", "@/dev/zero", f"@{tmp_path}"):
        with pytest.raises(UsageError, match="not a regular file"):
            resolve_inputs([word])


def test_a_named_file_is_taken_whatever_its_name(tmp_path: Path) -> None:
    assert names([touch(tmp_path / "apVisit-dr17-5215-55823-164.fits")]) == ["apVisit-dr17-5215-55823-164.fits"]


def test_a_missing_fits_file_is_kept_for_its_row(tmp_path: Path) -> None:
    assert names([tmp_path / "apStar-dr17-gone.fits"]) == ["apStar-dr17-gone.fits"]


@pytest.mark.parametrize(
    ("word", "words"),
    [("nowhere", "no such input"), ("@nowhere.txt", "cannot read the list"), ("empty", "no apStar files found")],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=words):
        resolve_inputs([word])
