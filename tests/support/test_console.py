"""Exit codes of command lines; a fault of the package is never read as a verdict."""

from __future__ import annotations

import errno

import pytest
import typer

from apnet_fast.support.console import EXIT_FAULT, run_app
from apnet_fast.support.errors import Stopped, UsageError


def exit_code(raised: BaseException, monkeypatch: pytest.MonkeyPatch) -> object:
    """The exit code of a command that raises this."""
    app = typer.Typer()

    @app.command()
    def command() -> None:
        raise raised

    monkeypatch.setattr("sys.argv", ["command"])
    with pytest.raises(SystemExit) as ended:
        run_app(app)
    return ended.value.code


@pytest.mark.parametrize(
    "fault", [TypeError("no such kernel"), ZeroDivisionError("x"), RuntimeError("x"), EOFError("x")], ids=repr
)
def test_a_fault_of_the_package_has_its_own_exit_code_and_a_traceback(
    fault: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(fault, monkeypatch) == EXIT_FAULT == 70
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert type(fault).__name__ in said
    assert "raise raised" in said
    assert "a fault of apnet_fast" in said.splitlines()[-1]


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (SystemExit(1), 1),
        (SystemExit(3), 3),
        (typer.Exit(5), 5),
        (typer.BadParameter("x"), 2),
        (UsageError("x"), 2),
        (Stopped("x"), 4),
        (MemoryError("x"), 4),
        (OSError(errno.ENOSPC, "full"), 4),
        (OSError(errno.EACCES, "not yours"), 2),
        (OSError(errno.EIO, "broken"), 4),
        (BlockingIOError(errno.EAGAIN, "no process"), 4),
        (RuntimeError("can't start new thread"), 4),
        (KeyboardInterrupt(), 130),
    ],
    ids=repr,
)
def test_all_else_ends_as_before(
    raised: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(raised, monkeypatch) == code
    assert "fault of apnet_fast" not in capsys.readouterr().err


def test_an_error_of_the_system_has_its_path_and_a_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code(OSError(errno.ENOSPC, "No space left on device", "out/shards/000001.json"), monkeypatch)
    assert capsys.readouterr().err == (
        "stopped: No space left on device [out/shards/000001.json]."
        " Remedy: make room: space in out/shards is used up; then give the same command again\n"
    )
    exit_code(PermissionError(errno.EACCES, "Permission denied", "out/.lock"), monkeypatch)
    assert capsys.readouterr().err.startswith("error: Permission denied [out/.lock]. Remedy: make out writable")


def test_a_wrong_command_line_is_shown_as_typer_shows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(typer.BadParameter("that is not a number"), monkeypatch) == 2
    assert "that is not a number" in capsys.readouterr().err


def test_a_command_that_returns_ends_with_0(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    app.command()(lambda: None)
    for words, code in ((["command"], 0), (["command", "--help"], 0), (["command", "--nonsense"], 2)):
        monkeypatch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as ended:
            run_app(app)
        assert ended.value.code == code
