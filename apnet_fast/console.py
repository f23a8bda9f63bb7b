"""What every command line of the package shares: errors without tracebacks, and exit codes."""

from __future__ import annotations

import sys

import typer

from apnet_fast.errors import ApnetError, Stopped

EXIT_DONE = 0
EXIT_USAGE = 2
EXIT_QUARANTINED = 3
EXIT_STOPPED = 4


def run_app(app: typer.Typer) -> None:
    """Run a typer application; an ApnetError becomes one message on stderr and its exit code."""
    try:
        app()
    except Stopped as error:
        sys.stderr.write(f"stopped: {error}\n")
        raise SystemExit(EXIT_STOPPED) from error
    except ApnetError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(EXIT_USAGE) from error
