"""Look for a sample of the files that a table names, so that a run reports early what is not there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

# Few enough to cost a second on a slow file system.
_SAMPLE = 1000
_PACKED = (".gz", ".fz")


@dataclass(frozen=True)
class Sample:
    """Files looked for: their number, those of them that are not there, and whether some are there packed."""

    looked_for: int
    missing: tuple[str, ...]
    packed: bool

    @property
    def mostly_missing(self) -> bool:
        """Return whether more than half of the files are not there."""
        return 2 * len(self.missing) > self.looked_for


def look_for(files: Sequence[str]) -> Sample:
    """Look for up to 1000 of the files, spread evenly over their order."""
    step = max(-(-len(files) // _SAMPLE), 1)
    chosen = files[::step]
    missing = tuple(path for path in chosen if not os.path.lexists(path))
    packed = any(os.path.lexists(path + suffix) for path in missing for suffix in _PACKED)
    return Sample(len(chosen), missing, packed)


def as_packed(path: str) -> str:
    """Return the name under which a file is there: its own, or with the suffix of its packed form."""
    if os.path.lexists(path):
        return path
    return next((path + suffix for suffix in _PACKED if os.path.lexists(path + suffix)), path)
