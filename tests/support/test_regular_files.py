"""Regular files are read, and nothing else is opened or waited for."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from apnet_fast.support.files import sha256_of
from apnet_fast.support.regular_files import (
    UnfitFile,
    check_regular,
    opened_regular,
    regular_bytes,
    regular_text,
)

READERS: list[Callable[[Path], object]] = [
    check_regular,
    lambda path: regular_bytes(path, 100),
    lambda path: regular_text(path, 100),
    sha256_of,
]


def test_a_file_is_read_whole_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes("a\r\né\r".encode())
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        check_regular(tmp_path / name)
        assert regular_bytes(tmp_path / name, 6) == "a\r\né\r".encode()
        assert regular_text(tmp_path / name, 6) == "a\né\n" == (tmp_path / name).read_text(encoding="utf-8")
    with opened_regular(tmp_path / "file") as file:
        assert file.read(1) == b"a"


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1234567")
    assert regular_bytes(tmp_path / "file", 7) == b"1234567"
    with pytest.raises(UnfitFile, match=r"larger than 6 bytes.*file"):
        regular_bytes(tmp_path / "file", 6)
    os.truncate(tmp_path / "file", 2**40)  # a hole: it takes no room
    with pytest.raises(UnfitFile, match="larger than"):
        regular_bytes(tmp_path / "file", 2**20)


def test_a_file_that_has_more_than_it_says_is_not_read_without_end() -> None:
    """As those of /proc, whose size is 0."""
    assert regular_bytes("/proc/self/cmdline", 10**6)
    with pytest.raises(UnfitFile, match="larger than 3 bytes"):
        regular_bytes("/proc/self/cmdline", 3)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("read", READERS)
def test_what_is_no_regular_file_is_refused_at_once(
    read: Callable[[Path], object], put_no_file: Callable[[Path], None], tmp_path: Path
) -> None:
    put_no_file(tmp_path / "it")
    with pytest.raises(UnfitFile, match=r"(pipe|device).*not a regular file.*it"):
        read(tmp_path / "it")


@pytest.mark.parametrize("read", READERS)
def test_folders_sockets_and_nothing_are_told_apart(
    read: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        read(tmp_path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
        with pytest.raises(UnfitFile, match="a device or socket"):
            read(tmp_path / "socket")


@pytest.mark.timeout(30)
def test_a_pipe_that_comes_after_the_look_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr("apnet_fast.support.regular_files.check_regular", lambda path: None)
    with pytest.raises(UnfitFile, match="a pipe"):
        regular_bytes(tmp_path / "pipe", 10)
