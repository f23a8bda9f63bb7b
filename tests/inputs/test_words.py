"""From INPUT words to files: folders, lists, names that are no apStar, several versions of a star."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.spectra.pack import Manifest, PackedFile
from apnet_fast.support.errors import UsageError


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def names(words: list[Path | str]) -> list[str]:
    return [os.path.basename(path) for path in resolve_inputs([str(word) for word in words]).files]


def test_folders_are_walked_and_sorted(tmp_path: Path) -> None:
    touch(tmp_path / "b" / "asStar-dr17-2M2.fits")
    touch(tmp_path / "a" / "deep" / "apStar-dr17-2M1.fits")
    touch(tmp_path / "a" / "notes.txt")
    assert names([tmp_path]) == ["apStar-dr17-2M1.fits", "asStar-dr17-2M2.fits"]


def test_order_and_repetition_of_words_do_not_matter(tmp_path: Path) -> None:
    one, two = (touch(tmp_path / f"apStar-dr17-2M{i}.fits") for i in (1, 2))
    expected = resolve_inputs([str(one), str(two)])
    assert resolve_inputs([str(two), str(tmp_path), str(one), str(two)]) == expected


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


def test_a_folder_with_a_manifest_is_a_pack_and_not_walked(tmp_path: Path) -> None:
    folder = touch(tmp_path / "folder" / "apStar-dr17-2M1.fits").parent
    Manifest("", 0, {name: PackedFile("", 0, 1, 1) for name in ("000000.arrow", "000001.arrow")}, 6).write(folder)
    assert names([folder]) == ["000000.arrow", "000001.arrow"]
    # Below a folder that is walked a pack has to be named, or its spectra would be there twice.
    assert names([tmp_path]) == ["apStar-dr17-2M1.fits"]


def test_fits_files_of_unknown_names_are_taken(tmp_path: Path) -> None:
    touch(tmp_path / "my_star.fits")
    assert names([tmp_path]) == ["my_star.fits"]


@pytest.mark.parametrize("name", ["list.txt", "apStar-dr17-2M1.fits.gz"])
def test_a_named_file_that_is_no_fits_is_refused_with_a_hint(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"not a \.fits file.*@.*, if it is a list"):
        resolve_inputs([str(touch(tmp_path / name))])


def test_a_named_file_is_taken_whatever_its_name(tmp_path: Path) -> None:
    assert names([touch(tmp_path / "apVisit-dr17-5215-55823-164.fits")]) == ["apVisit-dr17-5215-55823-164.fits"]


def test_lists_with_comments_blanks_and_missing_files(tmp_path: Path) -> None:
    star = touch(tmp_path / "apStar-dr17-2M1.fits")
    listing = tmp_path / "list.txt"
    listing.write_text(f"# two stars\n\n  {star}  \n{tmp_path}/gone.fits\n{tmp_path}/no_suffix\n")
    assert names([f"@{listing}"]) == ["apStar-dr17-2M1.fits", "gone.fits", "no_suffix"]


@pytest.mark.parametrize(
    ("kind", "what"), [("tree", "a folder"), ("pack", "a pack"), ("allStar.parquet", "a summary table")]
)
def test_a_list_names_files_alone(kind: str, what: str, tmp_path: Path) -> None:
    line = tmp_path / kind
    if kind == "allStar.parquet":
        pq.write_table(pa.table({"file": ["a"], "apogee_id": ["b"]}), line)
    else:
        line.mkdir()
    if kind == "pack":
        Manifest("", 0, {}, 6).write(line)
    listing = tmp_path / "list.txt"
    listing.write_text(f"# with a folder\n{touch(tmp_path / 'apStar-dr17-2M1.fits')}\n {line}\n")
    with pytest.raises(UsageError, match=f"this is {what}; got {line} .*list.txt, line 3.*give {line} as an INPUT"):
        resolve_inputs([f"@{listing}"])


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
