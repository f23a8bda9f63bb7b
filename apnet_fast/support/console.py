"""Run a command line: errors without tracebacks, and exit codes."""

from __future__ import annotations

import errno
import sys

import typer

from apnet_fast.support.errors import ApnetError, Stopped

EXIT_USAGE = 2
EXIT_QUARANTINED = 3
EXIT_STOPPED = 4
# EX_SOFTWARE of sysexits.h: far from the codes above, and from 1, which Python uses for tracebacks and `validate` for
# verdicts.
EXIT_FAULT = 70

_FULL_OR_FAILING = {errno.ENOSPC, errno.EDQUOT, errno.EIO}


def run_app(app: typer.Typer) -> None:
    """Run a typer application; turn what a user can act on into one message on stderr and its exit code.

    Any other exception is a fault of the package: print its traceback and a line about it, and exit with EXIT_FAULT.
    """
    try:
        app()
    except Stopped as error:
        sys.stderr.write(f"stopped: {error}\n")
        raise SystemExit(EXIT_STOPPED) from error
    except ApnetError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(EXIT_USAGE) from error
    except MemoryError as error:
        sys.stderr.write(
            f"stopped: not enough memory: {error}. Remedy: a smaller --batch-size or --shard-size, or fewer --readers,"
            " where the command has them; then give it again\n"
        )
        raise SystemExit(EXIT_STOPPED) from error
    except OSError as error:
        # A fault of an input becomes a row; this is an output or weights file that cannot be written or read.
        where = f" [{error.filename}]" if error.filename else ""
        if error.errno in _FULL_OR_FAILING:
            sys.stderr.write(f"stopped: {error.strerror}{where}. Remedy: make room, then give the same command again\n")
            raise SystemExit(EXIT_STOPPED) from error
        sys.stderr.write(f"error: {error.strerror or error}{where}\n")
        raise SystemExit(EXIT_USAGE) from error
    except Exception as error:
        # Typer's hook leaves its own frames out.
        sys.excepthook(type(error), error, error.__traceback__)
        sys.stderr.write("This is a fault of apnet_fast, not of the data. Please report it with the lines above\n")
        raise SystemExit(EXIT_FAULT) from error
