"""Check whether the files of a run are still those that were read."""

from __future__ import annotations

import os
from collections.abc import Iterable

from apnet_fast.spectra.pack import PACK_SUFFIX
from apnet_fast.support.errors import UsageError

# Behind the state of a file of which no spectrum has a result: nothing is lost if it has changed.
_USELESS = " useless"


def state_of(path: str) -> str:
    """Return size and time of the last change [ns] as "size:time"; "" if there is no file.

    Files of packs give "" too: their checksums, which are part of a run's identity, are the better proof.
    """
    if path.endswith(PACK_SUFFIX):
        return ""
    try:
        state = os.stat(path)
    except (OSError, ValueError):  # the latter for a path with a zero byte
        return ""
    return f"{state.st_size}:{state.st_mtime_ns}"


def marked_as_useless(state: str) -> str:
    """Return a state with the mark of a file that gave no result, so that it may change."""
    return f"{state}{_USELESS}" if state else ""


def none_came_back(states: Iterable[tuple[str, str]], marker: str) -> bool:
    """Return whether all files that were missing or useless when they were to be read are still as they were.

    states: paths, and the result of `state_of` before they were read, marked if nothing came of the file: it may have
    been half copied. Files that have disappeared since do not matter. Raises UsageError for another file that has
    changed; marker: of their shard, for the message.
    """
    come_back = False
    for path, stored in states:
        now, then = state_of(path), stored.removesuffix(_USELESS)
        if now and then and now != then and then == stored:
            raise UsageError(
                "a file has changed since its spectra were computed",
                got=f"{path}, size:time {now}",
                expected=f"size:time {then}",
                remedy=f"--restart computes everything again; without {marker}, its shard alone is done again",
            )
        come_back |= bool(now and now != then)
    return not come_back
