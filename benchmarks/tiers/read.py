"""Tier read: measure files and megabytes per second, by reader (direct, fitsio) and number of reader processes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.readers.pool import Readers
from apnet_fast.spectra.apstar import BOTH, read_apstar
from apnet_fast.support.grid import PIXELS
from benchmarks.inputs import linked_tree
from benchmarks.results import Result, rates

_FILES = 400
_READERS = (0, 1, 2, 4)


def measure(folder: Path, repeats: int, stars: int | None = None) -> list[Result]:
    """Measure with a warm page cache: the software's cost, not the disk's. MB count flux and error rows on disk."""
    results = []
    for layout in ("dr17", "sdss5"):
        files = resolve_inputs([str(linked_tree(folder, stars or _FILES, layout))]).files
        for reader, direct in (("direct", True), ("fitsio", False)):
            for products in (BOTH, ("star",)):
                rate = rates(partial(_read, files, products, direct), repeats)
                results.append(_result(f"{layout} {'+'.join(products)} {reader}", rate))
    files = resolve_inputs([str(linked_tree(folder, stars or _FILES))]).files
    for readers in _READERS:
        with Readers(readers, BOTH) as pool:
            results.append(
                _result(f"dr17 star+visit, {readers} readers", rates(partial(_hand_over, pool, files), repeats))
            )
    return results


def _read(files: tuple[str, ...], products: tuple[str, ...], direct: bool) -> int:
    for path in files:
        read_apstar(path, products, direct=direct)  # type: ignore[arg-type]
    return len(files)


def _hand_over(pool: Readers, files: tuple[str, ...]) -> int:
    return sum(1 for _ in pool.read(files))


def _result(name: str, rate: float) -> Result:
    rows = 1 if " star " in f" {name} " else 6
    return Result(name, rate, "files/s", {"mb_per_s": round(rate * rows * 2 * 8 * PIXELS / 1e6, 1)})
