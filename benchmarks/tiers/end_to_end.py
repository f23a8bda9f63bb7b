"""Tier end-to-end: time whole runs, files to catalogues, with the cpu engine and weights of the real size."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path

from apnet_fast.catalog.names import RUN_FILE
from apnet_fast.pipeline.run import run_survey
from benchmarks.inputs import linked_tree, weights
from benchmarks.results import Result

_STARS = 60


def measure(folder: Path, repeats: int, stars: int | None = None) -> list[Result]:
    """Measure spectra per second, and the share of wall time in which the engine waited for reading and writing."""
    tree = linked_tree(folder, stars or _STARS)
    return [timed_run("cpu engine", tree, folder, repeats, engine="cpu", readers=0)]


def timed_run(
    name: str,
    tree: Path,
    folder: Path,
    repeats: int,
    *,
    engine: str,
    readers: int | None,
    device: str = "cpu",
    batch_size: int = 64,
    weights_file: Path | None = None,
) -> Result:
    """Return the median rate of several runs, each into a fresh folder, by default with random weights."""
    path = weights_file or weights(folder)[0]
    records = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(dir=folder) as output:
            run_survey(
                tree,
                weights=path,
                output=output,
                engine=engine,
                device=device,
                readers=readers,
                batch_size=batch_size,
            )
            records.append(json.loads((Path(output) / RUN_FILE).read_text()))
    rate = statistics.median(record["spectra_per_second"] for record in records)
    last = records[-1]
    stages, wall = last["stage_seconds"], last["wall_seconds"]
    alone = sum(stages[stage]["busy"] for stage in ("loading", "catalogues"))
    shares = {
        "reading and writing": f"{stages['engine']['waiting'] / wall:.2%} of wall time in which the engine waited",
        "loading and catalogues": f"{alone / wall:.2%}",
    }
    return Result(name, rate, "spectra/s", shares | {"stage_seconds": stages})
