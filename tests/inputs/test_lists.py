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
    listing.write_text(f"# two stars\n\n  {star}  \n{tmp_path}/gone.fits\n{touch(tmp_path / 'no_suffix')}\n")
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
    listing.write_text("a.fits # the first\nb.fits.gz\t# the second, once c.fits\nodd # name.fits\n")
    assert read_list(str(listing)) == ["a.fits", "b.fits.gz", "odd # name.fits"]


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
        ("`a.fits`", "a path in quotes"),
        ("\u201ca.fits\u201d", "a path in quotes"),
        ("a.fits# the first", "something behind it"),
        ("a.fits; the first", "something behind it"),
        ("a.fits,5.2,abc", "something behind it"),
        ("a.fits.gz 12.3", "something behind it"),
        ("a.fits\tb.fits", "something behind it"),
        ("a.fits,b.fits", "something behind it"),
        ("a.fits | b", "something behind it"),
        ("a.fits[1]", "something behind it"),
        ("{a,b}.fits", "a pattern of names"),
        ("no[ab].fits", "a pattern of names"),
        ("a[1].fits", "a pattern of names"),
        ("$(pwd)/a.fits", "only a shell expands"),
        ("${NOT_SET_AT_ALL:-/x}/a.fits", "only a shell expands"),
        ("`pwd`/a.fits", "a path in quotes"),
        ("x/`date`.fits", "only a shell expands"),
        ("file,snr", "ends in none of .fits, .fits.gz"),
        ("no_suffix", "ends in none of .fits"),
        ("<html>", "ends in none of .fits"),
    ],
)
def test_a_line_that_is_no_path_is_told_what_it_looks_like(line: str, what: str, listing: Path) -> None:
    listing.write_bytes(f"first.fits\n{line}\n".encode())
    with pytest.raises(UsageError, match=rf"looks like .*{what}.*line 2.*correct the line"):
        read_list(str(listing))


@pytest.mark.parametrize(
    "name",
    [
        *['"a.fits"', "a*.fits", "a.fits,", "~a.fits", "$b.fits", "a.fits # b", "a[1].fits", "a.fits,5.2", "a.fits 1"],
        *["{a}.fits", "$(b).fits", "`a`.fits", "a.fits#b", "no_suffix", "a|b", "\ufeffa.fits", "a.fits;", "a.fits[1]"],
        *["a.fits b.fits", "a.fits,b.fits"],
    ],
)
def test_a_file_of_that_very_name_is_taken(
    name: str, tmp_path: Path, listing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / name)
    listing.write_text(f"gone.fits\n{name}\n")
    assert read_list(str(listing)) == ["gone.fits", name]


def test_a_missing_file_with_an_apostrophe_is_a_missing_file(listing: Path) -> None:
    listing.write_text("it's.fits\nmy stars/a (1).fits\n")
    assert read_list(str(listing)) == ["it's.fits", "my stars/a (1).fits"]


@pytest.mark.parametrize("comment", ["", " # good"])
def test_odd_names_may_be_expanded_and_commented(
    comment: str, tmp_path: Path, listing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SURVEY", str(tmp_path))
    touch(tmp_path / "a[1].fits")
    listing.write_text(f"$SURVEY/a[1].fits{comment}\n")
    assert read_list(str(listing)) == [f"{tmp_path}/a[1].fits"]


def test_byte_order_marks_stand_before_any_line_of_joined_lists(listing: Path) -> None:
    mark = b"\xef\xbb\xbf"
    for lines in (
        [b"a.fits", mark + b"b.fits"],
        [b"# c", mark + b"a.fits", mark + b"# d", mark, b" " + mark + b" b.fits"],
    ):
        listing.write_bytes(mark + b"\n".join(lines))
        assert read_list(str(listing)) == ["a.fits", "b.fits"]


def test_plain_lines_are_not_looked_for(listing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []
    monkeypatch.setattr(os.path, "lexists", lambda path: looked.append(path) or False)
    listing.write_text("a.fits\nmy stars/b.fits.gz\n/x/c-1+2.fits.fz\n")
    assert len(read_list(str(listing))) == 3
    assert looked == []
