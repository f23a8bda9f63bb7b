"""Tier driver: time everything but the engine, catalogues included. The null engine gives constant labels."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.inputs import SPECTRA_OF_A_STAR, linked_tree, weights
from benchmarks.results import Result
from benchmarks.tiers.end_to_end import timed_run

_STARS = 3000
_READERS = (0, 1, 2)
# Numbers of spectra of the two runs whose memory is measured.
_FEW, _MANY = 1_000, 20_000

_RUN_AND_TELL = """
import sys
from apnet_fast.reprocess import app
from benchmarks.results import peak_mb
app(sys.argv[1:], standalone_mode=False)
print(peak_mb())
"""


def measure(folder: Path, repeats: int, stars: int | None = None) -> list[Result]:
    """Measure spectra per second from files to catalogues, by readers, and peak memory, by number of spectra."""
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
    """Return the command's peak memory in MB, with libraries and weights of the real size."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        words = [str(tree), "--weights", str(weights(folder)[0]), "--output", output]
        words += ["--engine", "null", "--device", "cpu", "--readers", "0"]
        said = subprocess.run(
            [sys.executable, "-c", _RUN_AND_TELL, *words], stdout=subprocess.PIPE, text=True, check=True
        )
    return float(said.stdout.split()[-1])
