"""What is said, how much of it, and the log; warnings come once, and not at all from a process that is muted."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from apnet_fast.support import notices
from apnet_fast.support.errors import UsageError
from apnet_fast.support.notices import (
    Volume,
    detail,
    listening,
    log_descriptor,
    mute_warnings,
    say,
    tell,
    warn,
    warn_once,
)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_warned", set())


def test_say_writes_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("hello")
    assert capsys.readouterr().err == "hello\n"


def test_a_warning_comes_once(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("no locks", "no locks", "no flush"):
        warn_once(text)
    assert capsys.readouterr().err == "warning: no locks\nwarning: no flush\n"
    for text in ("file a", "file b"):
        warn_once(text, about="files")
    assert capsys.readouterr().err == "warning: file a\n"


def test_a_muted_process_warns_later(capsys: pytest.CaptureFixture[str]) -> None:
    mute_warnings()
    warn_once("x")
    mute_warnings(False)
    assert capsys.readouterr().err == ""
    warn_once("x")
    assert capsys.readouterr().err == "warning: x\n"


def test_a_terminal_that_has_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, text: str) -> None:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Gone())
    say("nobody hears this")


def everything(log: Path | None = None, volume: Volume = Volume.NORMAL) -> None:
    with listening("command --option", volume=volume, log=log):
        say("a notice")
        detail("a detail")
        tell("what was done")
        warn("a danger")


@pytest.mark.parametrize(
    ("volume", "err", "out"),
    [
        (Volume.QUIET, "warning: a danger\n", ""),
        (Volume.NORMAL, "a notice\nwarning: a danger\n", "what was done\n"),
        (Volume.VERBOSE, "a notice\na detail\nwarning: a danger\n", "what was done\n"),
    ],
)
def test_how_much_is_said(
    volume: Volume, err: str, out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everything(tmp_path / "log", volume)
    said = capsys.readouterr()
    assert (said.err, said.out) == (err, out)
    # The log has it all, however much is said.
    logged = [line.split(" ", 2)[2] for line in (tmp_path / "log").read_text().splitlines()]
    assert logged == [
        "$ command --option", "a notice", "a detail", "what was done", "warning: a danger", "exit code 0",
    ]  # fmt: skip
    say("afterwards as before")
    assert capsys.readouterr().err == "afterwards as before\n"


def test_a_log_is_appended_to_and_has_the_end_of_a_command(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(SystemExit), listening("first", log=log):
        raise SystemExit(3)
    with pytest.raises(UsageError), listening("second", log=log):
        raise UsageError("no weights")
    text = log.read_text()
    assert "exit code 3" in text
    assert "UsageError: no weights" in text
    assert text.splitlines()[-1].endswith("ended by an error UsageError")
    assert text.index("$ first") < text.index("$ second")


def test_a_log_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write the log"), listening("x", log=tmp_path / "no" / "log"):
        pass


def test_a_log_on_a_full_disk_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with suppress(OSError):  # closing it may fail, which is of no importance either
        everything(full)
    assert "warning: a danger" in capsys.readouterr().err


def test_processes_that_a_command_starts_are_as_quiet() -> None:
    code = "from apnet_fast.support.notices import say, warn; say('a notice'); warn('a danger')"
    with listening("x", volume=Volume.QUIET):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stderr == "warning: a danger\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stderr == "a notice\nwarning: a danger\n"


@pytest.mark.timeout(30)
def test_a_log_that_is_a_pipe_nobody_reads_is_refused_and_a_read_one_is_written(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="cannot write the log"), listening("x", log=pipe):
        pass
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with listening("the command", log=pipe):
        descriptor = log_descriptor()
        assert descriptor is not None
        assert os.get_blocking(descriptor)
    assert b"$ the command" in os.read(reader, 10_000)
    os.close(reader)
