"""Look for the files that a table names: a sample, to report early what is not there, and packed forms."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

# Few enough to cost a second on a slow file system.
_SAMPLE = 1000
_PACKED = (".gz", ".fz")
# Over a network the time goes into waiting for answers.
_THREADS = 16


@dataclass(frozen=True)
class Sample:
    """Files looked for: their number, and those of them that are not there."""

    looked_for: int
    missing: tuple[str, ...]

    @property
    def mostly_missing(self) -> bool:
        """Return whether more than half of the files are not there."""
        return 2 * len(self.missing) > self.looked_for


def look_for(files: Sequence[str]) -> Sample:
    """Look for up to 1000 of the files, spread evenly over their order."""
    step = max(-(-len(files) // _SAMPLE), 1)
    chosen = files[::step]
    return Sample(len(chosen), tuple(path for path in chosen if not os.path.lexists(path)))


def names_on_disk(files: Sequence[str]) -> list[str]:
    """Return the name under which each file is there: its own, or with the suffix of its packed form (.gz, .fz).

    Files that are not there keep their names. files: best sorted. Folders are listed, because over a network a question
    for each of a million files takes minutes.
    """
    by_folder = [(folder, list(group)) for folder, group in groupby(files, os.path.dirname)]
    with ThreadPoolExecutor(_THREADS) as threads:
        return [name for names in threads.map(_in_folder, by_folder) for name in names]


def _in_folder(folder_and_files: tuple[str, list[str]]) -> Iterable[str]:
    folder, files = folder_and_files
    try:
        there = set(os.listdir(folder or "."))
    except (
        FileNotFoundError,
        NotADirectoryError,
        ValueError,
    ):  # or a name that none can have: NUL, half a surrogate pair
        return files
    except OSError:  # a folder that may be entered but not listed
        there = {os.path.basename(path) for path in map(_looked_for, files)}
    return [_of_names(path, there) for path in files]


def _of_names(path: str, there: set[str]) -> str:
    name = os.path.basename(path)
    if name in there:
        return path
    return next((path + suffix for suffix in _PACKED if name + suffix in there), path)


def _looked_for(path: str) -> str:
    return next((path + suffix for suffix in ("", *_PACKED) if os.path.lexists(path + suffix)), path)
