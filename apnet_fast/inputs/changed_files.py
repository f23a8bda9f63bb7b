"""Whether files of a run are still those that were read."""

from __future__ import annotations

import os
from collections.abc import Iterable

from apnet_fast.spectra.pack import PACK_SUFFIX
from apnet_fast.support.errors import UsageError


def state_of(path: str) -> str:
    """Size and time of the last change [ns], "size:time"; "" where there is no file.

    "" for files of packs too: their checksums, which are part of a run's identity, say more.
    """
    if path.endswith(PACK_SUFFIX):
        return ""
    try:
        state = os.stat(path)
    except (OSError, ValueError):  # the latter for a path with a zero byte
        return ""
    return f"{state.st_size}:{state.st_mtime_ns}"


def none_came_back(states: Iterable[tuple[str, str]], marker: str) -> bool:
    """Whether all files that were missing when they were to be read still are; those that went since do not matter.

    states: paths, and what `state_of` said before they were read. Raises UsageError for a file that is another now;
    marker: of their shard, for the message.
    """
    come_back = False
    for path, then in states:
        now = state_of(path)
        if now and then and now != then:
            raise UsageError(
                "a file has changed since its spectra were computed",
                got=f"{path}, size:time {now}",
                expected=f"size:time {then}",
                remedy=f"--restart computes everything again; without {marker}, its shard alone is done again",
            )
        come_back |= bool(now and not then)
    return not come_back
