"""`python -m benchmarks.cpu`: the CPU engine and its rivals, in one run, at equal semantics.

Every round gives each contender the same spectra, in an order that turns from round to round, so that a busy moment
of the machine hits all of them. Prints the seconds per spectrum (median of the rounds), the spectra per second, and how
many times faster than the others the engine is (median and range of the ratios within a round); errors against float64;
the cost per spectrum from few to many spectra; and memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from apnet_fast.engines import CpuEngine, Engine, ReferenceEngine
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.pipeline.provenance import machine
from apnet_fast.recipes import RECIPES
from apnet_fast.recipes.noise import noise_keys
from apnet_fast.support.grid import CHIP_GAPS, PIXELS
from benchmarks.contenders import OURS, Contender, check, contenders
from benchmarks.results import peak_mb

# A large batch repeats this many spectra; their noise differs from row to row.
_DIFFERENT = 20


def made_up_spectra(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Make flux and error, float32 (n, 8575), at S/N 25 with chip gaps, cleaned by the recipe."""
    rng = np.random.default_rng(0)
    flux = rng.normal(500, 50, (n, PIXELS)).astype(np.float32)
    error = np.full_like(flux, 20)
    for start, stop in CHIP_GAPS:
        flux[:, start:stop] = error[:, start:stop] = 0
    return RECIPES["dr19"].clean_up(flux, error)


def compare(all_of_them: dict[str, Contender], spectra: int, rounds: int, draws: int) -> dict[str, Any]:
    """Return each contender's seconds per spectrum in every round. The first round does not count."""
    flux, error = made_up_spectra(spectra)
    seconds: dict[str, list[float]] = {name: [] for name in all_of_them}
    names = list(all_of_them)
    for number in range(rounds + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            start = time.perf_counter()
            all_of_them[name](flux, error, draws)
            if number:
                seconds[name].append((time.perf_counter() - start) / spectra)
    results = {}
    for name, taken in seconds.items():
        median, ratios = statistics.median(taken), [one / ours for one, ours in zip(taken, seconds[OURS], strict=True)]
        ratio, least, most = statistics.median(ratios), min(ratios), max(ratios)
        print(f"{name:24s} {median:8.4f} s {1 / median:7.2f} spectra/s   x {ratio:.2f} ({least:.2f} to {most:.2f})")
        results[name] = {"seconds": taken, "ratio": ratio, "ratios": ratios}
    return results


def errors(checkpoint: Checkpoint, draws: int) -> dict[str, float]:
    """Return the root mean square error of the worst label against float64, for the engine and for eager torch."""
    flux, error = made_up_spectra(2)
    keys = noise_keys(0, "ab")
    recipe = RECIPES["dr19"]
    truth = ReferenceEngine(checkpoint, recipe, precision="fp64").predict(flux, error, keys, draws).draws

    def rms(engine: Engine) -> float:
        off = (engine.predict(flux, error, keys, draws).draws - truth) / np.asarray(checkpoint.scaling.std)
        return float(np.sqrt(np.mean(off**2, axis=(0, 1))).max())

    return {
        "cpu engine": rms(CpuEngine(checkpoint, recipe)),
        "torch eager": rms(ReferenceEngine(checkpoint, recipe)),
    }


def cost_by_number(checkpoint: Checkpoint, numbers: list[int], draws: int) -> dict[int, dict[str, float]]:
    """Return seconds per spectrum, peak memory so far and the spectra's share of it (MB), by number of spectra."""
    engine = CpuEngine(checkpoint, RECIPES["dr19"])
    different = made_up_spectra(_DIFFERENT)
    engine.predict(*different, np.zeros(_DIFFERENT, np.uint64), draws)  # warm
    costs = {}
    for number in numbers:
        flux, error = (values[np.arange(number) % _DIFFERENT] for values in different)
        keys = noise_keys(0, map(str, range(number)))
        start = time.perf_counter()
        engine.predict(flux, error, keys, draws)
        taken = (time.perf_counter() - start) / number
        peak = peak_mb()
        given = (flux.nbytes + error.nbytes) / 1e6
        costs[number] = {"seconds": taken, "peak_mb": peak, "spectra_mb": given}
        print(
            f"{number:6d} spectra at once: {taken:.4f} s per spectrum;"
            f" peak memory {peak:.0f} MB, of which the spectra take {given:.0f}"
        )
    return costs


def main() -> None:
    """Run the comparison and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spectra", type=int, default=6, help="spectra per contender and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--threads", type=int, help="default: as torch chooses")
    parser.add_argument("--only", action="append", help="a contender to run beside the engine; repeat for more")
    parser.add_argument("--numbers", type=int, nargs="*", default=[10, 100, 1000], help="batch sizes to time")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    line = machine()
    print(f"{line['processor']}, {line['threads']} threads, torch {line['torch']}; clean and {options.draws} draws")
    checkpoint = random_checkpoint(network="v3")
    names = [OURS, *options.only] if options.only else None
    report: dict[str, Any] = {"machine": line, "draws": options.draws}
    # Measured first, before the rivals take memory.
    report["cost"] = cost_by_number(checkpoint, options.numbers, options.draws)
    everyone = contenders(checkpoint, options.draws, names)
    check(everyone, *made_up_spectra(1), options.draws)
    report["contenders"] = compare(everyone, options.spectra, options.rounds, options.draws)
    del everyone
    report["rms_error_against_fp64"] = errors(checkpoint, 4)
    for name, value in report["rms_error_against_fp64"].items():
        print(f"rms error against float64, {name}: {value:.2e} of a label's scale")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
