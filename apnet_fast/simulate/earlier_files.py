"""Tell the files of an earlier simulation, which a new one replaces, from files of the user."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from apnet_fast.simulate.edge_cases import TEXT_FILE
from apnet_fast.simulate.headers import SIMULATED
from apnet_fast.support.attempts import PARTIAL, remove_stale_attempts
from apnet_fast.support.ownership import check_ours
from apnet_fast.support.regular_files import opened_regular

_CARD = re.compile(rb"(?:.{80})*?" + f"{SIMULATED.name:<8}= {'T':>20}".encode(), re.DOTALL)
# More than any header of a primary HDU has.
_HEADER_BYTES = 200 * 2880
_NAME = re.compile(r"(?:ap|as)Star(?:C)?-.*\.fits")


def check_may_replace(path: Path) -> None:
    """Raise UsageError if a file stands where one is to be written, and no simulation of ours has made it."""
    check_ours(path.parent, [path.name], _is_simulated(path), "the simulation")


def remove_left(output: Path, truth_file: str) -> None:
    """Remove the attempts at files of a simulation that was killed."""
    for folder in {path.parent for path in output.rglob(f"*{PARTIAL}")}:
        remove_stale_attempts(folder, lambda name: name == truth_file or _NAME.fullmatch(name) is not None)


def _is_simulated(path: Path) -> bool:
    try:
        state = path.lstat()
        if stat.S_ISLNK(state.st_mode):
            # To a version of the same star, or to nothing.
            return re.fullmatch(rf"{re.escape(path.stem)}-(?:\d+|moved)\.fits", os.readlink(path)) is not None
        with opened_regular(path) as file:
            start = file.read(_HEADER_BYTES)
    except OSError:
        return False
    return start in (b"", TEXT_FILE.encode()) or _CARD.match(start) is not None
