"""Errors of the operating system: which may pass, and what to do, where."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from apnet_fast.support.os_errors import advice_of


def error_of(code: int, path: Path | None = None) -> OSError:
    return OSError(code, os.strerror(code), None if path is None else str(path))


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EDQUOT, "quota"),
        (errno.EIO, "disk or file server"),
        (errno.ESTALE, "disk or file server"),
        (errno.EMFILE, "open files"),
        (errno.EAGAIN, "ulimit -u"),
    ],
)
def test_what_may_pass_is_tried_again(code: int, word: str, tmp_path: Path) -> None:
    advice = advice_of(error_of(code, tmp_path / "a.parquet"))
    assert advice.passing
    assert word in advice.remedy
    assert "same command again" in advice.remedy


def test_a_full_disk_names_the_folder(tmp_path: Path) -> None:
    assert str(tmp_path) in advice_of(error_of(errno.ENOSPC, tmp_path / "a.parquet")).remedy
    assert str(tmp_path) in advice_of(error_of(errno.ENOSPC, tmp_path)).remedy
    assert "the file system" in advice_of(error_of(errno.ENOSPC)).remedy


@pytest.mark.parametrize(
    ("code", "word"),
    [(errno.EACCES, "writable"), (errno.EROFS, "writable"), (errno.ENOENT, "path"), (errno.EISDIR, "folder")],
)
def test_what_the_user_must_change_is_no_stop(code: int, word: str, tmp_path: Path) -> None:
    advice = advice_of(error_of(code, tmp_path / "a"))
    assert not advice.passing
    assert word in advice.remedy
