"""Folders as inputs: what is taken, what is left out, several versions of a star."""

from __future__ import annotations

import os
from pathlib import Path

from apnet_fast.inputs.words import resolve_inputs
from tests.inputs.named import names, touch


def test_folders_are_walked_and_sorted(tmp_path: Path) -> None:
    touch(tmp_path / "b" / "asStar-dr17-2M2.fits")
    touch(tmp_path / "a" / "deep" / "apStar-dr17-2M1.fits")
    touch(tmp_path / "a" / "notes.txt")
    assert names([tmp_path]) == ["apStar-dr17-2M1.fits", "asStar-dr17-2M2.fits"]


def test_other_products_in_a_folder_are_left_out_and_counted(tmp_path: Path) -> None:
    touch(tmp_path / "apStar-dr17-2M1.fits")
    others = ["apVisit-dr17-5215-55823-164.fits", "apField-4263.fits", "apStarC-r5-2M1.fits", "allStar-dr17.fits"]
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


def test_compressed_files_in_a_folder_are_left_out_and_counted(tmp_path: Path) -> None:
    touch(tmp_path / "apStar-dr17-2M1.fits")
    touch(tmp_path / "apStar-dr17-2M2.fits.gz")
    inputs = resolve_inputs([str(tmp_path)])
    assert [os.path.basename(path) for path in inputs.other_products] == ["apStar-dr17-2M2.fits.gz"]


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
