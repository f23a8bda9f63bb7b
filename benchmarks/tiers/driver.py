"""Tier driver: everything but the engine. The null engine gives constant labels, catalogues included."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.inputs import SPECTRA_OF_A_STAR, linked_tree
from benchmarks.results import Result
from benchmarks.tiers.end_to_end import timed_run

_STARS = 3000
_READERS = (0, 1, 2)
# Spectra of the runs whose memory is measured.
_FEW, _MANY = 1_000, 20_000

_RUN_AND_TELL = """
import sys
from pathlib import Path
from benchmarks.results import peak_mb
from benchmarks.tiers.end_to_end import timed_run
timed_run("peak", Path(sys.argv[1]), Path(sys.argv[2]), 1, engine="null", readers=0)
print(peak_mb())
"""


def measure(folder: Path, repeats: int, stars: int | None = None) -> list[Result]:
    """Spectra a second from files to catalogues, by number of readers; and the most memory, by number of spectra."""
    tree = linked_tree(folder, stars or _STARS)
    rates = [
        timed_run(f"null engine, {readers} readers", tree, folder, repeats, engine="null", readers=readers)
        for readers in _READERS
    ]
    return [*rates, _memory(folder)]


def _memory(folder: Path) -> Result:
    few, many = (_peak(linked_tree(folder, spectra // SPECTRA_OF_A_STAR), folder) for spectra in (_FEW, _MANY))
    more = {f"mb_at_{_FEW}": round(few, 1), f"mb_at_{_MANY}": round(many, 1)}
    return Result("memory, few spectra / many", few / many, "x", more)


def _peak(tree: Path, folder: Path) -> float:
    """MB that a run in a process of its own takes at the most, libraries included."""
    words = [sys.executable, "-c", _RUN_AND_TELL, str(tree), str(folder)]
    said = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    return float(said.split()[-1])
