"""Folders as inputs: what is taken, what is left out, several versions of a star."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

import fitsio
import numpy as np
import pytest

from apnet_fast.inputs import folders
from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.support.errors import UsageError
from tests.inputs.named import names, touch


def test_folders_are_walked_and_sorted(tmp_path: Path) -> None:
    touch(tmp_path / "b" / "asStar-dr17-2M2.fits")
    touch(tmp_path / "a" / "deep" / "apStar-dr17-2M1.fits")
    touch(tmp_path / "a" / "notes.txt")
    assert names([tmp_path]) == ["apStar-dr17-2M1.fits", "asStar-dr17-2M2.fits"]


def test_other_products_in_a_folder_are_left_out_and_counted(tmp_path: Path) -> None:
    touch(tmp_path / "apStar-dr17-2M1.fits")
    others = ["apVisit-dr17-5215-55823-164.fits", "apField-4263.fits", "allStar-dr17.fits"]
    for other in others:
        touch(tmp_path / other)
    inputs = resolve_inputs([str(tmp_path)])
    assert [os.path.basename(path) for path in inputs.files] == ["apStar-dr17-2M1.fits"]
    assert [os.path.basename(path) for path in inputs.other_products] == sorted(others)


def test_mwm_files_in_a_folder_are_spectra_beside_apstar_files(tmp_path: Path) -> None:
    taken = ["apStar-dr17-2M1.fits", "mwmStar-0.6.0-103020000.fits", "mwmVisit-0.6.0-103020000.fits"]
    for name in [*taken, "mwmAllStar-0.6.0.fits", "mwmTargets-0.6.0.fits"]:
        touch(tmp_path / name)
    inputs = resolve_inputs([str(tmp_path)])
    assert [os.path.basename(path) for path in inputs.files] == taken
    assert len(inputs.other_products) == 2


def test_fits_files_of_unknown_names_are_taken(tmp_path: Path) -> None:
    touch(tmp_path / "my_star.fits")
    assert names([tmp_path]) == ["my_star.fits"]


def test_a_dangling_symlink_is_kept_for_its_row(tmp_path: Path) -> None:
    (tmp_path / "apStar-dr17-2M1.fits").symlink_to("gone.fits")
    assert names([tmp_path]) == ["apStar-dr17-2M1.fits"]


def test_linked_folders_are_walked_once(tmp_path: Path) -> None:
    touch(tmp_path / "real" / "apStar-dr17-2M1.fits")
    touch(tmp_path / "elsewhere" / "apStar-dr17-2M2.fits")
    (tmp_path / "real" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "real")
    assert names([tmp_path / "real"]) == ["apStar-dr17-2M1.fits", "apStar-dr17-2M2.fits"]


def test_packed_files_are_taken_unless_the_plain_one_is_there_too(tmp_path: Path) -> None:
    taken = ["apStar-dr17-2M1.fits", "apStar-dr17-2M2.fits.gz", "asStar-dr17-2M3.fits.fz"]
    for name in [*taken, "apStar-dr17-2M1.fits.gz", "apVisit-dr17-1-55823-001.fits.gz", "apStar-dr17-2M4.fits.bz2"]:
        touch(tmp_path / name)
    inputs = resolve_inputs([str(tmp_path)])
    assert [os.path.basename(path) for path in inputs.files] == taken
    assert len(inputs.other_products) == 3


def test_commissioning_files_are_spectra(tmp_path: Path) -> None:
    for name in ("apStarC-r5-2M1.fits", "apStar-r5-2M1.fits"):
        touch(tmp_path / name)
    assert names([tmp_path]) == ["apStar-r5-2M1.fits", "apStarC-r5-2M1.fits"]


def test_tables_under_any_name_are_no_spectra(tmp_path: Path) -> None:
    star = touch(tmp_path / "apStar-dr17-2M1.fits")
    with fitsio.FITS(str(tmp_path / "my_sample.fits"), "rw") as file:
        file.write(np.zeros(3, [("APOGEE_ID", "S18")]))
    (tmp_path / "other.fits.gz").write_bytes(gzip.compress((tmp_path / "my_sample.fits").read_bytes()))
    # A file of that name that is not a table is a spectrum, or gets the row that says why not.
    touch(tmp_path / "broken.fits")
    assert resolve_inputs([str(tmp_path)]).files == (str(star), str(tmp_path / "broken.fits"))


def test_tables_named_like_spectra_are_looked_into(tmp_path: Path) -> None:
    with fitsio.FITS(str(tmp_path / "apStar-list-1.fits"), "rw") as file:
        file.write(np.zeros(3, [("APOGEE_ID", "S18")]))
    table = (tmp_path / "apStar-list-1.fits").read_bytes()
    (tmp_path / "asStar-dr17-table.fits.gz").write_bytes(gzip.compress(table))
    (tmp_path / "apStarC-r5-HD1.fits").write_bytes(table)
    # Files of these names that are no tables are inputs, whatever is in them.
    spectra = ["apStar-r5-HD8724.fits", "apStar-current-2M1.fits", "asStar-1.3-lco25m-VESTA.fits"]
    for name in spectra:
        touch(tmp_path / name)
    inputs = resolve_inputs([str(tmp_path)])
    assert [os.path.basename(path) for path in inputs.files] == sorted(spectra)
    assert len(inputs.other_products) == 3


def test_files_of_the_survey_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = ["apStar-dr17-2M19085185+5058401", "apStarC-r5-AP19085185+5058401", "apStar-s3-2M19085185+5058401"]
    usual += ["asStar-1.3-lco25m-2M19085185+5058401-59866", "mwmStar-0.6.0-54321", "apStar-daily1-2M1-55960"]
    for name in usual:
        touch(tmp_path / f"{name}.fits")

    def opened(path: str) -> bool:
        raise AssertionError(path)

    monkeypatch.setattr(folders, "is_table", opened)
    assert len(names([tmp_path])) == len(usual)
    touch(tmp_path / "my_star.fits")
    with pytest.raises(AssertionError, match="my_star"):
        names([tmp_path])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["apVisit-r12-1-2-3.fits", "apVisit-r12-1-2-4.fits", "allStar-1.fits"], "with 1 allStar, 2 apVisit;"),
        (["apStar-dr17-2M1.fits.bz2", "apStar-dr17-2M2.fits.bz2"], r"with 2 files packed as \.bz2;"),
        (["allStar.parquet"], "with 1 tables;"),
        (["notes.txt"], r"no apStar files found.*, with 1 \.txt files; expected"),
        (["apStars.tar.gz", "a.h5", "b.h5"], r"with 2 \.h5 files, 1 \.tar\.gz files; .*unpack archives"),
        (["apStar-dr17-2M1.FITS", "apStar-dr17-2M2.fit"], r"with 1 \.FITS files, 1 \.fit files; .*end in \.fits"),
        (["README", ".hidden", "apStar-dr17-2M1.fits.Z"], r"with 1 files packed as \.Z, 2 files without a suffix;"),
        ([f"{i}.{chr(97 + i)}" for i in range(12)] + ["x.zip", "y.zip"], r"1 \.i files, 2 \.zip files, and others;"),
        ([], r"no apStar files found.*got [^,]*; expected"),
    ],
)
def test_a_folder_without_apstar_files_tells_what_is_there(files: list[str], words: str, tmp_path: Path) -> None:
    for name in files:
        touch(tmp_path / name)
    with pytest.raises(UsageError, match=words):
        resolve_inputs([str(tmp_path)])


def test_folders_of_the_system_are_not_walked(tmp_path: Path) -> None:
    star = touch(tmp_path / "apStar-dr17-2M1.fits")
    for name in ("proc", "sys", "dev"):
        (tmp_path / name).symlink_to(f"/{name}")
    started = time.monotonic()
    assert resolve_inputs([str(tmp_path)]).files == (str(star),)
    assert time.monotonic() - started < 2


STAR = "apStar-1.3-lco25m-2M03174068-7748459"


def test_the_plain_name_wins_over_versions(tmp_path: Path) -> None:
    for version in ("59700", "59866"):
        touch(tmp_path / f"{STAR}-{version}.fits")
    (tmp_path / f"{STAR}.fits").symlink_to(f"{STAR}-59866.fits")
    inputs = resolve_inputs([str(tmp_path)])
    assert [os.path.basename(path) for path in inputs.files] == [f"{STAR}.fits"]
    # The newer version is not left out: it is what the plain name points to.
    assert [os.path.basename(path) for path in inputs.superseded] == [f"{STAR}-59700.fits"]


def test_without_a_plain_name_the_last_version_wins(tmp_path: Path) -> None:
    for version in ("59866", "59700", "60001"):
        touch(tmp_path / f"{STAR}-{version}.fits")
    assert names([tmp_path]) == [f"{STAR}-60001.fits"]


def test_a_version_named_by_hand_is_kept(tmp_path: Path) -> None:
    for version in ("59700", "59866"):
        touch(tmp_path / f"{STAR}-{version}.fits")
    assert names([tmp_path, tmp_path / f"{STAR}-59700.fits"]) == [f"{STAR}-59700.fits", f"{STAR}-59866.fits"]


def test_stars_of_two_telescopes_or_folders_are_not_versions(tmp_path: Path) -> None:
    touch(tmp_path / "a" / f"{STAR}-59700.fits")
    touch(tmp_path / "b" / f"{STAR}-59866.fits")
    touch(tmp_path / "a" / f"{STAR.replace('lco25m', 'apo25m')}-59866.fits")
    assert len(names([tmp_path])) == 3
