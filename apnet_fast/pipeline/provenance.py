"""What a run writes down about itself: run.json, and the cards of the catalogues."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from itertools import groupby
from typing import Any

from apnet_fast._version import __version__
from apnet_fast.catalog.cards import Card
from apnet_fast.inputs.words import Inputs
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.pipeline.plan import Plan
from apnet_fast.pipeline.settings import RunSettings
from apnet_fast.pipeline.shards import Marker
from apnet_fast.pipeline.summary import RunSummary
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.recipes import Recipe
from apnet_fast.spectra.batch import Product

_SIMULATED_ONLY = "simulated spectra only: for real stars the labels mean nothing"
_LIBRARIES = ("numpy", "numba", "fitsio", "pyarrow")


def run_record(
    *,
    settings: RunSettings,
    workers: Sequence[Mapping[str, object]],
    plan: Plan,
    checkpoint: Checkpoint,
    inputs: Inputs,
    catalog: Mapping[str, object] | None,
    summary: RunSummary,
    products: Mapping[str, Mapping[str, object]],
    instruction_sets: Mapping[str, str],
    resumed_shards: int,
    times: StageTimes,
    started: datetime,
    finished: datetime,
) -> dict[str, Any]:
    """Return the content of run.json. products: size and checksum of the files written, by name."""
    with_photometry = settings.find_recipe().photometry is not None
    return {
        "software": f"apnet_fast {__version__}",
        "fingerprint": plan.fingerprint.as_dict(),
        "weights": {
            "network": checkpoint.network,
            "origin": checkpoint.origin,
            "sha256": checkpoint.sha256,
            "source_sha256": checkpoint.source_sha256,
            "left_out": list(checkpoint.left_out),
        },
        "catalog": None if catalog is None else dict(catalog),
        "device": settings.device,
        "workers": [dict(worker) for worker in workers],
        "readers": settings.readers,
        "batch_size": settings.batch_size,
        "files": len(plan.files),
        "skipped_files": _skipped(inputs),
        "rows": dict(summary.rows),
        "without_result": dict(sorted(summary.reasons.items())),
        "incomplete_photometry": summary.incomplete_photometry if with_photometry else None,
        "flux": asdict(summary.flux),
        "warnings": list(summary.warnings),
        "products": {name: dict(content) for name, content in products.items()},
        "shards": plan.shards,
        "shards_by_instruction_set": dict(instruction_sets),
        "resumed_shards": resumed_shards,
        "started": started.isoformat(),
        "finished": finished.isoformat(),
        "wall_seconds": round(times.wall, 3),
        "stage_seconds": times.as_dict(),
        "spectra_this_run": times.spectra,
        "spectra_per_second": round(times.rate, 3) if times.rate else None,
        "machine": machine(),
    }


def shards_by_instructions(markers: Sequence[Marker]) -> dict[str, str]:
    """Return which shards were computed with which instruction set, such as {"torch AVX2, ...": "0-11, 14"}.

    markers: of all shards, in order. Shards whose labels depend on no processor are left out.
    """
    numbers: dict[str, list[int]] = {}
    for shard, marker in enumerate(markers):
        if marker.instructions:
            numbers.setdefault(marker.instructions, []).append(shard)
    return {instructions: _ranges(found) for instructions, found in sorted(numbers.items())}


def _ranges(numbers: Sequence[int]) -> str:
    """Return ascending numbers as ranges."""
    words = []
    for _, group in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        words.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return ", ".join(words)


def _skipped(inputs: Inputs) -> dict[str, Any]:
    skipped: dict[str, Any] = {
        "other_products": len(inputs.other_products),
        "older_versions": list(inputs.superseded),
    }
    if inputs.nameless_rows:
        skipped["rows_without_file"] = inputs.nameless_rows
    return skipped


def machine() -> dict[str, Any]:
    """Return what the run ran on: processor, cores, Python and the libraries that shape the numbers."""
    import torch

    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        **{library: version(library) for library in _LIBRARIES},
    }


def processor() -> str:
    """Return the name of the processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor()


def provenance_cards(plan: Plan, recipe: Recipe, checkpoint: Checkpoint, product: Product) -> list[Card]:
    """Return the cards of HDU 0 that name what the labels of a product depend on."""
    fingerprint = plan.fingerprint
    return [
        ("SOFTWARE", "apnet_fast", "Software that made this file"),
        ("SOFTVERS", __version__, "Its version"),
        ("PRODUCT", product, "star: coadds; visit: visits"),
        ("NETWORK", checkpoint.network, "ApogeeNet version"),
        ("RECIPE", recipe.name, "What exactly was computed"),
        ("FLAGTAB", recipe.flag_table.name, "Table of the bits of result_flags"),
        ("DRAWS", fingerprint.draws, "Noise realisations of each spectrum"),
        ("SEED", fingerprint.seed, "Seed of the noise"),
        ("ENGINE", fingerprint.engine, "Engine that computed the labels"),
        ("PRECISIO", fingerprint.precision, "Its arithmetic"),
        # No comments: these values fill their cards.
        ("WSHA256", checkpoint.sha256, ""),
        ("WORIGIN", checkpoint.origin, ""),
        *([("WUSE", _SIMULATED_ONLY, "")] if checkpoint.for_simulated_only else []),
        *([("CSHA256", fingerprint.catalog.removeprefix("sha256 "), "")] if fingerprint.catalog else []),
        ("NFILES", len(plan.files), "apStar files of the run"),
    ]
