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


@pytest.mark.parametrize("fault", [TypeError("no such kernel"), ZeroDivisionError("x"), RuntimeError("x")], ids=repr)
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
        (KeyboardInterrupt(), 130),
    ],
    ids=repr,
)
def test_all_else_ends_as_before(
    raised: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(raised, monkeypatch) == code
    assert "fault of apnet_fast" not in capsys.readouterr().err
