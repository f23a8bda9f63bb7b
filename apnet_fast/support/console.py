"""Run a command line: errors without tracebacks, and exit codes."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from apnet_fast.support.errors import ApnetError, Stopped
from apnet_fast.support.interrupts import end_quietly_while_importing
from apnet_fast.support.limits import as_limit
from apnet_fast.support.os_errors import advice_of

EXIT_USAGE = 2
EXIT_QUARANTINED = 3
EXIT_STOPPED = 4
# EX_SOFTWARE of sysexits.h: far from the codes above, and from 1, which Python uses for tracebacks and `validate` for
# verdicts.
EXIT_FAULT = 70


def run_app(app: typer.Typer, *, program: str | None = None) -> NoReturn:
    """Run a typer application; turn what a user can act on into one message on stderr and its exit code.

    program: its name in messages and for the shell's completion; default what it was started as.
    Any other exception is a fault of the package: print its traceback and a line about it, and exit with EXIT_FAULT.
    """
    end_quietly_while_importing()
    try:
        # In its own mode typer would turn every EOFError into the word "Aborted." and exit code 1.
        code = app(standalone_mode=False, prog_name=program)
    except typer.Abort as abort:
        _end_of(abort.__cause__ if isinstance(abort.__cause__, Exception) else abort)
    except Exception as error:  # noqa: BLE001 - told apart in `_end_of`
        _end_of(error)
    raise SystemExit(code if isinstance(code, int) else 0)


def _end_of(error: Exception) -> NoReturn:
    """Write the message of an error, and exit with its code."""
    limit = as_limit(error)
    if limit is not None:
        _exit(EXIT_STOPPED, f"stopped: {limit}", error)
    if isinstance(error, Stopped):
        _exit(EXIT_STOPPED, f"stopped: {error}", error)
    if isinstance(error, ApnetError):
        _exit(EXIT_USAGE, f"error: {error}", error)
    if isinstance(error, OSError):
        # A fault of an input becomes a row; this is an output or weights file that cannot be written or read.
        where = f" [{error.filename}]" if error.filename else ""
        advice = advice_of(error)
        message = f"{error.strerror or error}{where}. Remedy: {advice.remedy}"
        code, word = (EXIT_STOPPED, "stopped") if advice.passing else (EXIT_USAGE, "error")
        _exit(code, f"{word}: {message}", error)
    if isinstance(error, _usage_errors()):
        _show_usage(error)
        raise SystemExit(error.exit_code) from error  # type: ignore[attr-defined]
    # Typer's hook leaves its own frames out.
    sys.excepthook(type(error), error, error.__traceback__)
    _exit(EXIT_FAULT, "This is a fault of apnet_fast, not of the data. Please report it with the lines above", error)


def _exit(code: int, message: str, error: Exception) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    raise SystemExit(code) from error


def _usage_errors() -> type[Exception]:
    """Return the class of wrong command lines: click's, or that of the copy of click in newer versions of typer."""
    return next(each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")


def _show_usage(error: Exception) -> None:
    """Write a wrong command line's message as typer does."""
    try:
        from typer.rich_utils import rich_format_error
    except ImportError:
        error.show()  # type: ignore[attr-defined]
    else:
        rich_format_error(error)  # type: ignore[arg-type]
