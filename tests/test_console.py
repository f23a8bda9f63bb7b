"""What ends a command, and with which exit code."""

from __future__ import annotations

import pytest
import typer

from apnet_fast.console import run_app
from apnet_fast.errors import Stopped, UsageError


def ending(raised: BaseException, monkeypatch: pytest.MonkeyPatch) -> object:
    app = typer.Typer()

    @app.command()
    def command() -> None:
        raise raised

    monkeypatch.setattr("sys.argv", ["command"])
    with pytest.raises(SystemExit) as ended:
        run_app(app)
    return ended.value.code


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (UsageError("no"), 2, "error: no\n"),
        (Stopped("later"), 4, "stopped: later\n"),
        (OSError(28, "No space left"), 4, "stopped: No space left. Remedy"),
        (PermissionError(13, "Permission denied", "x"), 2, "error: Permission denied [x]"),
        (SystemExit(1), 1, ""),
        (ZeroDivisionError("a fault"), 70, "a fault of apnet_fast"),
    ],
)
def test_exit_codes(
    raised: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(raised, monkeypatch) == code
    text = capsys.readouterr().err
    assert said in text
    assert ("Traceback" in text) == (code == 70)
