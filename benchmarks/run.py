"""`python -m benchmarks.run`: measure reading, driver, whole runs, backends and a whole release on this machine.

    python -m benchmarks.run --tier read|driver|end-to-end|survey [--json FILE] [--repeats 3] [--stars N] [--folder DIR]
    python -m benchmarks.run --tier backends [--json FILE] [--repeats 3] [--spectra N]
    python -m benchmarks.run compare A.json B.json          print the ratio B / A of every figure

A tier is a module of `benchmarks.tiers`. Inputs are made in --folder (default: a temporary folder) and take 0.5 GB with
the weights.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import tiers


def tier_names() -> list[str]:
    """Return the names of the tiers: their modules' names with hyphens."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(tiers.__path__))


def main(words: Sequence[str] | None = None) -> int:
    """Return exit status 0, or 1 if two results have no figure in common. Wrong arguments exit with 2."""
    words = list(sys.argv[1:] if words is None else words)
    if words[:1] == ["compare"]:
        parser = argparse.ArgumentParser(prog="benchmarks.run compare")
        parser.add_argument("a", type=Path)
        parser.add_argument("b", type=Path)
        options = parser.parse_args(words[1:])
        try:
            reports = [_report_in(path) for path in (options.a, options.b)]
        except (OSError, ValueError) as error:
            parser.error(str(error))
        return compare(*reports)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tier", required=True, choices=tier_names())
    parser.add_argument("--json", type=Path, help="file to write the results to")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--stars", type=int, help="files in the tree, five spectra each (default: by tier)")
    parser.add_argument("--folder", type=Path, help="folder in which inputs are made and reused")
    parser.add_argument("--spectra", type=int, help="number of spectra, tier backends only (1000)")
    options = parser.parse_args(words)
    if options.spectra is not None and (options.tier != "backends" or options.spectra < 1):
        parser.error("--spectra is a number of at least 1, for --tier backends")
    if options.stars is not None and options.tier == "backends":
        parser.error("--stars is for tiers that read files; --tier backends has --spectra")
    size = options.spectra if options.tier == "backends" else options.stars
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
        report = measure(options.tier, options.folder, options.repeats, size)
    else:
        with tempfile.TemporaryDirectory() as folder:
            report = measure(options.tier, Path(folder), options.repeats, size)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def measure(tier: str, folder: Path, repeats: int, size: int | None = None) -> dict[str, Any]:
    """Run a tier, print its figures, and return them with a description of the machine."""
    from apnet_fast.pipeline.provenance import machine

    results = importlib.import_module(f"benchmarks.tiers.{tier.replace('-', '_')}").measure(folder, repeats, size)
    report = {
        "tier": tier,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "results": [asdict(result) for result in results],
    }
    print(_machine_line(report))
    for result in results:
        more = ", ".join(f"{name} {value}" for name, value in result.more.items() if not isinstance(value, dict))
        print(f"{result.name:40} {result.value:12.1f} {result.unit:10} {more}")
    return report


def _report_in(path: Path) -> dict[str, Any]:
    """Read a report that --json wrote. Raises OSError or ValueError for any other file."""
    try:
        report = json.loads(path.read_text())
        for key in ("processor", "cores", "threads", "torch"):
            report["machine"][key]
        values = [float(result["value"]) for result in report["results"] if str(result["name"])]
        known = bool(report["date"]) and len(values) == len(report["results"])
    except (KeyError, TypeError, ValueError):
        known = False
    if not known:
        raise ValueError(f"{path} is not a report written by `benchmarks.run --tier ... --json`")
    return report


def compare(a: dict[str, Any], b: dict[str, Any]) -> int:
    """Print b / a for every figure that both have. Above 1, b is faster."""
    for name, report in (("A", a), ("B", b)):
        print(f"{name}: {report['date']}, {_machine_line(report)}")
    values_a, values_b = ({result["name"]: result["value"] for result in report["results"]} for report in (a, b))
    both = [name for name in values_a if name in values_b]
    for name in both:
        ratio = values_b[name] / values_a[name]
        print(f"{name:40} {values_a[name]:12.1f} {values_b[name]:12.1f}   x {ratio:.2f}")
    if not both:
        print("no figure in common: do both belong to one tier?")
    return 0 if both else 1


def _machine_line(report: dict[str, Any]) -> str:
    machine = report["machine"]
    return f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, torch {machine['torch']}"


if __name__ == "__main__":
    sys.exit(main())
