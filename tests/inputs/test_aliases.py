"""One file under several names is one file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apnet_fast.inputs import aliases as module
from apnet_fast.inputs.aliases import aliases
from apnet_fast.inputs.words import resolve_inputs
from tests.inputs.named import touch

PLAIN = "apStar-1.3-lco25m-2M03174068-7748459.fits"


@pytest.fixture(params=["few", "many"])
def few_or_many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are looked at one by one, and a list too long for that."""
    if request.param == "many":
        monkeypatch.setattr(module, "_FEW", 0)


@pytest.mark.usefixtures("few_or_many")
def test_names_of_one_file_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    star = touch(tmp_path / "a" / "apStar-dr17-2M1.fits")
    other = touch(tmp_path / "a" / "apStar-dr17-2M2.fits")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "mine.fits").symlink_to(star)
    monkeypatch.chdir(tmp_path)
    names = [str(star), "a/apStar-dr17-2M1.fits", "b/apStar-dr17-2M1.fits", "mine.fits", str(other)]
    left_out = aliases(names)
    assert len(left_out) == 3
    assert str(other) not in left_out
    assert "mine.fits" in left_out
    assert aliases(reversed(names)) == left_out


@pytest.mark.usefixtures("few_or_many")
def test_copies_and_missing_files_are_no_aliases(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (touch(tmp_path / folder / "apStar-dr17-2M1.fits")).write_bytes(b"same")
    paths = [str(tmp_path / folder / "apStar-dr17-2M1.fits") for folder in ("a", "b", "gone", "gone too")]
    assert aliases([*paths, "zero\0byte.fits"]) == set()


def test_a_missing_file_named_twice_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(aliases(["gone.fits", f"{tmp_path}/gone.fits"])) == 1


@pytest.mark.usefixtures("few_or_many")
def test_the_plain_name_of_a_star_is_kept(tmp_path: Path) -> None:
    version = touch(tmp_path / PLAIN.replace(".fits", "-59866.fits"))
    (tmp_path / PLAIN).symlink_to(version.name)
    assert aliases([str(version), str(tmp_path / PLAIN)]) == {str(version)}


def test_inputs_have_each_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    star = touch(tmp_path / "tree" / "apStar-dr17-2M1.fits")
    (tmp_path / "link.fits").symlink_to(star)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text(f"{star}\nlink.fits\ntree/apStar-dr17-2M1.fits\n")
    for words in (["@list.txt"], ["tree", str(star)], ["tree", "link.fits"], [str(tmp_path), "link.fits"]):
        inputs = resolve_inputs(words)
        assert [os.path.realpath(path) for path in inputs.files] == [str(star)], words
    assert len(resolve_inputs(["@list.txt"]).aliases) == 2
    assert "2 names left out" in resolve_inputs(["@list.txt"]).notes[0]


def test_links_to_elsewhere_in_one_folder_are_followed(tmp_path: Path) -> None:
    star = touch(tmp_path / "tree" / "real" / "apStar-dr17-2M1.fits")
    (tmp_path / "tree" / "link.fits").symlink_to(star)
    assert resolve_inputs([str(tmp_path / "tree")]).files == (str(star),)


def test_a_folder_without_links_is_not_looked_at_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "apStar-dr17-2M1.fits")
    monkeypatch.setattr("apnet_fast.inputs.words.aliases", lambda *_: pytest.fail("files were looked at"))
    assert len(resolve_inputs([str(tmp_path)]).files) == 1


def test_hard_links_named_as_different_stars_are_different_spectra(tmp_path: Path) -> None:
    """A name is part of who a spectrum is; a link without a star's name is a name of the file."""
    one, two, copy = (tmp_path / name for name in ("apStar-dr17-2M1.fits", "apStar-dr17-2M2.fits", "mine.fits"))
    touch(one)
    for name in (two, copy):
        os.link(one, name)
    assert aliases(map(str, (one, two, copy))) == {str(copy)}
