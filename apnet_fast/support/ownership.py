"""Refuse to write over what is not ours: a name does not prove who made a file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from apnet_fast.support.errors import UsageError

_MOST_NAMED = 5


def check_ours(folder: Path, names: Iterable[str], proven: bool, maker: str) -> None:
    """Raise UsageError if a folder holds some of the names that are to be written, unless it is proven to be ours.

    maker: what writes there, for the message. Nothing else in the folder matters, nor is it touched.
    """
    there = [] if proven else [name for name in sorted(names) if os.path.lexists(folder / name)]
    if there:
        more = len(there) - _MOST_NAMED
        raise UsageError(
            f"{maker} would overwrite files that it did not write",
            got=", ".join(there[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else ""),
            remedy="give another --output, or move them away; nothing of them was changed",
            where=str(folder),
        )
