"""Lines on stderr: what a run has to say, and warnings that are written once however often their cause comes up."""

from __future__ import annotations

import sys
from contextlib import suppress

_warned: set[str] = set()
_muted = False


def say(message: str) -> None:
    """Write one line to stderr; a terminal or pipe that has gone does not matter."""
    with suppress(OSError, ValueError):  # ValueError: stderr was closed
        sys.stderr.write(message + "\n")
        sys.stderr.flush()


def warn_once(message: str, *, about: str = "") -> None:
    """Write a warning, unless this process has written one about the same thing.

    about: what makes two warnings the same; by default their text.
    """
    key = about or message
    if _muted or key in _warned:
        return
    _warned.add(key)
    say(f"warning: {message}")


def mute_warnings(muted: bool = True) -> None:
    """Write no warnings in this process: of a run's processes, one is enough to write them."""
    global _muted
    _muted = muted
