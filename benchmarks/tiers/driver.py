"""Tier driver: everything but the engine. The null engine gives constant labels, catalogues included."""

from __future__ import annotations

from pathlib import Path

from benchmarks.inputs import linked_tree
from benchmarks.results import Result
from benchmarks.tiers.end_to_end import timed_run

_STARS = 3000
_READERS = (0, 1, 2)


def measure(folder: Path, repeats: int) -> list[Result]:
    """Spectra a second from files to catalogues, by number of readers."""
    tree = linked_tree(folder, _STARS)
    return [
        timed_run(f"null engine, {readers} readers", tree, folder, repeats, engine="null", readers=readers)
        for readers in _READERS
    ]
