"""`python -m benchmarks.kernels --compile-only`: compile every shipped configuration and report what came out.

No GPU is needed. The exit status is 1 if anything spills, uses local memory, needs more shared memory than the chip
has, or computes a convolution without matrix instructions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from apnet_fast.kernels.aot import Compiled

app = typer.Typer(add_completion=False)

_MEASURED = Path(__file__).parent / "results" / "gpu-sm90.json"


def compile_shipped() -> Iterator[tuple[str, Compiled]]:
    """Yield (table, compiled launch) for every table on its own architecture, and for the generic table on all."""
    # Kernels defined while the interpreter is on cannot be compiled.
    os.environ.pop("TRITON_INTERPRET", None)
    from apnet_fast.kernels.aot import ARCHITECTURES, compile_launches, launches
    from apnet_fast.kernels.tuning import GENERIC, shipped

    wanted = [
        (name, launch, architecture)
        for name, tuning in shipped().items()
        for architecture in (ARCHITECTURES if name == GENERIC else (name,))
        for launch in launches(tuning)
    ]
    compiled = compile_launches([(launch, architecture) for _, launch, architecture in wanted])
    return zip((name for name, _, _ in wanted), compiled, strict=True)


def measured_us(path: Path) -> dict[str, float]:
    """Return the microseconds of each kernel in a file that `benchmarks.gpu` wrote; nothing if there is none."""
    if not path.exists():
        return {}
    kernels = json.loads(path.read_text(encoding="utf-8")).get("kernels", {})
    return {name: value["us"] for name, value in kernels.items()}


def print_model(measured: dict[str, float]) -> None:
    """Print what an H200 is predicted to take for every launch of its table, and what each change gained.

    measured: microseconds of kernels on a GPU, to print beside.
    """
    os.environ.pop("TRITON_INTERPRET", None)
    from apnet_fast.kernels.aot import compile_launches, launches
    from apnet_fast.kernels.tuning import table_for
    from benchmarks.model import CHIPS, linear_seconds, predict, predict_way, spectra_per_second, ways

    chip, tuning, draws = CHIPS["sm90"], table_for("sm90"), 20
    by_way = [launches(way.tuning) for way in ways(tuning)]
    compiled = compile_launches([(launch, "sm90") for shapes in by_way for launch in shapes])
    pairs = [{launch.label: (launch, next(compiled)) for launch in shapes} for shapes in by_way]
    spectra = max(1, tuning.tile_rows // (1 + draws))
    groups = spectra * draws / tuning.group_rows
    print(f"predicted, not measured: {chip.name}, {spectra} spectra per tile, {groups:.1f} groups of draws")
    print("instructions as in the machine code, a loop's once; rounds of the busiest multiprocessor,")
    print(f"us/spectrum with {chip.gap * 1e6:g} us from a launch to the next")
    line = "{:28} {:>8} {:>8} {:>6} {:>9} {:>7} {:>4} {:>6} {:>8} {:>8} {:>9} {:>12}"
    sizes = ("programs", "resident", "rounds", "registers", "shared", "MMA", "other")
    heads = (*sizes, "us", "measured", "of matmul", "us/spectrum")
    print(line.format("kernel", *heads))
    found = []
    for launch, made in pairs[-1].values():
        each = predict(launch, made, chip, draws, groups)
        found.append(each)
        share = f"{each.of_ceiling(chip):.2f}" if each.operations else "-"
        code = (made.registers, made.shared, made.matrix, made.instructions - made.matrix)
        seen = f"{measured[each.label]:.1f}" if each.label in measured else "no"
        cost = (
            f"{each.seconds * 1e6:.1f}",
            seen,
            share,
            f"{(each.seconds + chip.gap) * each.per_tile / spectra * 1e6:.2f}",
        )
        print(line.format(each.label, each.programs, each.resident, each.rounds, *code, *cost), flush=True)
    print(f"linear layers, at the ceiling of the matrix product: {linear_seconds(chip, draws) * 1e6:.2f} us/spectrum")
    for name, joint in (("dr19", False), ("astra-0.6", True)):
        rate = spectra_per_second(found, chip, draws, spectra, joint)
        print(f"{name}: {rate:,.0f} spectra/s (predicted)")
    print()
    print("change by change (predicted, not measured): spectra/s with everything on the device, the share of a tile's")
    print("places that batches of 64 fill, and their product: what a run gets if nothing but the GPU holds it up")
    line = "{:36} {:>12} {:>12} {:>8} {:>12} {:>12}"
    print(line.format("", "dr19", "astra-0.6", "filled", "run, dr19", "run, astra"))
    for way, launched in zip(ways(tuning), pairs, strict=True):
        filled = way.filled(max(1, way.tuning.tile_rows // (1 + draws)))
        rates = [predict_way(way, launched, chip, draws, joint) for joint in (False, True)]
        print(
            line.format(
                way.name,
                *(f"{rate:,.0f}" for rate in rates),
                f"{100 * filled:.0f} %",
                *(f"{rate * filled:,.0f}" for rate in rates),
            )
        )


@app.command()
def main(
    compile_only: Annotated[bool, typer.Option("--compile-only", help="Compile and print; run nothing.")] = False,
    model: Annotated[bool, typer.Option("--model", help="Predict the time of each launch on an H200.")] = False,
    measured: Annotated[Path, typer.Option(help="What benchmarks.gpu wrote, to print beside --model.")] = _MEASURED,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Print kernel, architecture, configuration, registers, spills, shared memory and matrix instructions."""
    if model:
        print_model(measured_us(measured))
        return
    if not compile_only:
        raise typer.BadParameter("timing kernels needs a GPU: python -m benchmarks.gpu; here, give --compile-only")
    line = "{:8} {:7} {:22} {:38} {:>9} {:>6} {:>7} {:>4} {}"
    if not as_json:
        print(line.format("table", "arch", "kernel", "config", "registers", "spills", "shared", "MMA", ""))
    faults = 0
    for table, kernel in compile_shipped():
        faults += len(kernel.faults)
        if as_json:
            print(json.dumps({"table": table, **asdict(kernel), "faults": kernel.faults}))
            continue
        spills, said = kernel.stack + kernel.local, "; ".join(kernel.faults) or kernel.instruction
        row = (kernel.architecture, kernel.label, kernel.config, kernel.registers, spills, kernel.shared, kernel.matrix)
        print(line.format(table, *row, said), flush=True)
    if faults:
        raise SystemExit(1)


if __name__ == "__main__":
    app()
