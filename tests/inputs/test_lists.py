"""Lists as inputs: what a line means, and what is not a list."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.inputs.lists import read_list
from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.spectra.pack import Manifest
from apnet_fast.support.errors import UsageError
from tests.inputs.named import names, touch


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    return tmp_path / "list.txt"


def test_comments_blanks_and_missing_files(tmp_path: Path, listing: Path) -> None:
    star = touch(tmp_path / "apStar-dr17-2M1.fits")
    listing.write_text(f"# two stars\n\n  {star}  \n{tmp_path}/gone.fits\n{tmp_path}/no_suffix\n")
    assert names([f"@{listing}"]) == ["apStar-dr17-2M1.fits", "gone.fits", "no_suffix"]


@pytest.mark.parametrize(
    ("kind", "what"), [("tree", "a folder"), ("pack", "a pack"), ("allStar.parquet", "a summary table")]
)
def test_a_list_names_files_alone(kind: str, what: str, tmp_path: Path, listing: Path) -> None:
    line = tmp_path / kind
    if kind == "allStar.parquet":
        pq.write_table(pa.table({"file": ["a"], "apogee_id": ["b"]}), line)
    else:
        line.mkdir()
    if kind == "pack":
        Manifest("", 0, {}, 6).write(line)
    listing.write_text(f"# with a folder\n{touch(tmp_path / 'apStar-dr17-2M1.fits')}\n {line}\n")
    with pytest.raises(UsageError, match=f"this is {what}; got {line} .*list.txt, line 3.*give {line} as an INPUT"):
        resolve_inputs([f"@{listing}"])


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n \n", b""])
def test_marks_and_ends_of_lines_are_no_part_of_a_path(start: bytes, end: bytes, listing: Path) -> None:
    listing.write_bytes(start + b"a.fits\n".replace(b"\n", end or b"\n") + b"b.fits" + end)
    assert read_list(str(listing)) == ["a.fits", "b.fits"]


@pytest.mark.parametrize("character", ["\u2028", "\u0085", "\v", "\f"])
def test_only_line_feeds_end_a_line(character: str, listing: Path) -> None:
    if character in "\v\f":
        listing.write_text(f"a{character}b.fits\n")
        with pytest.raises(UsageError, match="not UTF-8 text"):
            read_list(str(listing))
        return
    listing.write_text(f"a{character}b.fits\nc.fits\n", encoding="utf-8")
    assert read_list(str(listing)) == [f"a{character}b.fits", "c.fits"]


def test_names_that_are_no_utf8_are_kept(listing: Path) -> None:
    listing.write_bytes(b"\xff\xe9.fits\n")
    assert os.fsencode(read_list(str(listing))[0]) == b"\xff\xe9.fits"


@pytest.mark.parametrize(
    ("contents", "what"),
    [
        ("a.fits\n".encode("utf-16"), "UTF-16"),
        ("a.fits\n".encode("utf-16-le"), "the byte"),
        (b"a.fits\0b.fits\0", "the byte"),
        (b"\x1f\x8b\x08packed", "the byte"),
        (b"SIMPLE  =                    T", "a FITS file"),
        (os.urandom(5000) + b"\0", "the byte|UTF-16"),
    ],
)
def test_what_is_no_text_is_refused(contents: bytes, what: str, listing: Path) -> None:
    listing.write_bytes(contents)
    with pytest.raises(UsageError, match=rf"not UTF-8 text; got .*({what}).*iconv"):
        read_list(str(listing))


def test_pipes_devices_and_folders_are_refused_without_opening_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    started = time.monotonic()
    for name in (str(tmp_path / "pipe"), "/dev/zero", "/dev/null", str(tmp_path)):
        with pytest.raises(UsageError, match="not a regular file"):
            read_list(name)
    assert time.monotonic() - started < 5


def test_home_and_variables_are_expanded(tmp_path: Path, listing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SURVEY", "/data/sas")
    listing.write_text("~/a.fits\n$SURVEY/b.fits\n${SURVEY}/c.fits\n")
    assert read_list(str(listing)) == [f"{tmp_path}/a.fits", "/data/sas/b.fits", "/data/sas/c.fits"]


def test_comments_behind_paths_are_cut_off(listing: Path) -> None:
    listing.write_text("a.fits # the first\nb.fits.gz\t# the second\nodd # name\n")
    assert read_list(str(listing)) == ["a.fits", "b.fits.gz", "odd # name"]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('"a.fits"', "a path in quotes"),
        ("'a.fits'", "a path in quotes"),
        ("a.fits,", "a comma or semicolon"),
        ("tree/*.fits", "a pattern of names"),
        ("apStar-dr17-2M?.fits", "a pattern of names"),
        ("@other.txt", "the name of another list"),
        ("https://data.sdss.org/sas/apStar-dr17-2M1.fits", "a URL"),
        ("$NOT_SET_AT_ALL/a.fits", "environment variable that is not set"),
        ("~nobody_of_that_name/a.fits", "unknown user"),
        ("a.fits\rb.fits", "carriage returns"),
    ],
)
def test_a_line_that_is_no_path_is_told_what_it_looks_like(line: str, what: str, listing: Path) -> None:
    listing.write_bytes(f"first.fits\n{line}\n".encode())
    with pytest.raises(UsageError, match=rf"looks like .*{what}.*line 2.*correct the line"):
        read_list(str(listing))


@pytest.mark.parametrize("name", ['"a.fits"', "a*.fits", "a.fits,", "~a.fits", "$b.fits", "a.fits # b", "a[1].fits"])
def test_a_file_of_that_very_name_is_taken(
    name: str, tmp_path: Path, listing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / name)
    listing.write_text(f"{name}\n")
    assert read_list(str(listing)) == [name]


def test_a_missing_file_with_brackets_is_a_missing_file(listing: Path) -> None:
    listing.write_text("a[1].fits\nit's.fits\n")
    assert read_list(str(listing)) == ["a[1].fits", "it's.fits"]
