"""An output folder has one run at a time, and a file system without locks stops none."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from pathlib import Path

import pytest

from apnet_fast.support import notices
from apnet_fast.support.errors import UsageError
from apnet_fast.support.lock import LOCK_FILE, locked


def test_a_second_run_is_refused_and_learns_who_holds_the_folder(tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(UsageError, match="another run") as refused, locked(tmp_path):
            pass
        holder = json.loads((tmp_path / LOCK_FILE).read_text())
        assert (holder["host"], holder["pid"]) == (socket.gethostname(), os.getpid())
        assert f"process {os.getpid()} on {socket.gethostname()} since {holder['since']}" in str(refused.value)
    with locked(tmp_path):
        pass
    assert (tmp_path / LOCK_FILE).read_text() == ""


def test_a_lock_file_that_is_no_json_names_nobody(tmp_path: Path) -> None:
    with locked(tmp_path):
        (tmp_path / LOCK_FILE).write_text("[]")
        with pytest.raises(UsageError, match="held by an unknown process"), locked(tmp_path):
            pass


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EPERM])
def test_without_locks_it_warns_and_goes_on(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*given: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(notices, "_warned", set())
    for _ in range(2):
        with locked(tmp_path):
            pass
    said = capsys.readouterr().err
    assert said.count("warning: the file system has no locks") == 1
    assert str(tmp_path / LOCK_FILE) in said
