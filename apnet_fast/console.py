"""What every command line of the package shares: errors without tracebacks, and exit codes.

0 done, 1 of `validate` a verdict, 2 usage, 3 done with spectra that could not be used, 4 stopped but resumable, 70 a
fault of this package.
"""

from __future__ import annotations

import errno
import sys
import traceback

import typer

from apnet_fast._version import __version__
from apnet_fast.errors import ApnetError, Stopped

EXIT_DONE = 0
EXIT_USAGE = 2
EXIT_QUARANTINED = 3
EXIT_STOPPED = 4
EXIT_FAULT = 70  # EX_SOFTWARE of sysexits.h

_FULL_OR_FAILING = {errno.ENOSPC, errno.EDQUOT, errno.EIO}


def run_app(app: typer.Typer) -> None:
    """Run a typer application; what a user can act on becomes one message on stderr and its exit code."""
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
        # What inputs do wrong becomes a row; this is an output or weights file that cannot be written or read.
        where = f" [{error.filename}]" if error.filename else ""
        if error.errno in _FULL_OR_FAILING:
            sys.stderr.write(f"stopped: {error.strerror}{where}. Remedy: make room, then give the same command again\n")
            raise SystemExit(EXIT_STOPPED) from error
        sys.stderr.write(f"error: {error.strerror or error}{where}\n")
        raise SystemExit(EXIT_USAGE) from error
    except Exception as error:
        # Python's own exit code for this, 1, is the verdict of `validate`.
        traceback.print_exc()
        sys.stderr.write(f"a fault of apnet_fast {__version__}; please report it with the lines above\n")
        raise SystemExit(EXIT_FAULT) from error
