"""`python -m benchmarks.kernels --compile-only`: compile every shipped configuration and report what came out.

No GPU is needed. The exit status is 1 if anything spills, uses local memory, needs more shared memory than the chip
has, or computes a convolution without matrix instructions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from apnet_fast.kernels.aot import Compiled

app = typer.Typer(add_completion=False)

_RESULTS = Path(__file__).parent / "results"
_DRAWS = 20


def compile_shipped(tables: Sequence[str] = ()) -> Iterator[tuple[str, Compiled]]:
    """Yield (table, compiled launch) for every table on its own architecture, and for the generic table on all.

    tables: those to compile, all if there is none. Raises BadParameter for a table that is not shipped.
    """
    # Kernels defined while the interpreter is on cannot be compiled.
    os.environ.pop("TRITON_INTERPRET", None)
    from apnet_fast.kernels.aot import ARCHITECTURES, compile_launches, launches
    from apnet_fast.kernels.tuning import GENERIC, shipped

    if unknown := set(tables) - shipped().keys():
        raise typer.BadParameter(f"no table {', '.join(sorted(unknown))}; there are {', '.join(shipped())}")
    wanted = [
        (name, launch, architecture)
        for name, tuning in shipped().items()
        if not tables or name in tables
        for architecture in (ARCHITECTURES if name == GENERIC else (name,))
        for launch in launches(tuning)
    ]
    compiled = compile_launches([(launch, architecture) for _, launch, architecture in wanted])
    return zip((name for name, _, _ in wanted), compiled, strict=True)


def measured_us(path: Path, architecture: str) -> dict[str, float]:
    """Return the microseconds of each kernel in a file that `benchmarks.gpu` wrote on a GPU of this architecture.

    Nothing if there is no such file, or if it is of another architecture.
    """
    values = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if values.get("machine", {}).get("architecture") != architecture:
        return {}
    return {name: value["us"] for name, value in values.get("kernels", {}).items()}


def print_model(measured: Path | None) -> None:
    """Print what the chip of each table is predicted to take for every launch, and what each change gained an H200.

    measured: what `benchmarks.gpu` wrote, to print beside; default what it wrote into `results/`.
    """
    os.environ.pop("TRITON_INTERPRET", None)
    from benchmarks.model import CHIPS

    for table in CHIPS:
        print_predictions(table, measured_us(measured or _RESULTS / f"gpu-{table}.json", table))
        print()
    print_changes()


def print_predictions(table: str, measured: dict[str, float]) -> None:
    """Print what the chip of a table is predicted to take for every launch. measured: microseconds, to print beside."""
    from apnet_fast.kernels.aot import compile_launches, launches
    from apnet_fast.kernels.tuning import table_for
    from benchmarks.model import CHIPS, linear_seconds, predict, spectra_per_second

    chip, tuning, draws = CHIPS[table], table_for(table), _DRAWS
    spectra = max(1, tuning.tile_rows // (1 + draws))
    groups = spectra * draws / tuning.group_rows
    print(
        f"table {table}, predicted, not measured: {chip.name}, {spectra} spectra per tile, {groups:.1f} groups of draws"
    )
    print(f"ceilings {chip.ceilings}: {chip.matmul_tflops:g} TFLOP/s, {chip.copy_gbs:g} GB/s")
    print("instructions as in the machine code, a loop's once; rounds of the busiest multiprocessor,")
    print(f"us/spectrum with {chip.gap * 1e6:g} us from a launch to the next")
    line = "{:28} {:>8} {:>8} {:>6} {:>9} {:>7} {:>4} {:>6} {:>8} {:>8} {:>9} {:>12}"
    sizes = ("programs", "resident", "rounds", "registers", "shared", "MMA", "other")
    heads = (*sizes, "us", "measured", "of matmul", "us/spectrum")
    print(line.format("kernel", *heads))
    found, shapes = [], launches(tuning)
    for launch, made in zip(shapes, compile_launches([(launch, table) for launch in shapes]), strict=True):
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


def print_changes() -> None:
    """Print the predicted rates of an H200 before the engine's changes and after each."""
    from apnet_fast.kernels.aot import compile_launches, launches
    from apnet_fast.kernels.tuning import table_for
    from benchmarks.model import CHIPS, predict_way, ways

    chip, tuning = CHIPS["sm90"], table_for("sm90")
    by_way = [launches(way.tuning) for way in ways(tuning)]
    compiled = compile_launches([(launch, "sm90") for shapes in by_way for launch in shapes])
    pairs = [{launch.label: (launch, next(compiled)) for launch in shapes} for shapes in by_way]
    print(f"change by change, table sm90 on an {chip.name} (predicted, not measured): spectra/s with everything on the")
    print("device, the share of a tile's places that batches of 64 fill, and their product: what a run gets if nothing")
    print("but the GPU holds it up")
    line = "{:36} {:>12} {:>12} {:>8} {:>12} {:>12}"
    print(line.format("", "dr19", "astra-0.6", "filled", "run, dr19", "run, astra"))
    for way, launched in zip(ways(tuning), pairs, strict=True):
        filled = way.filled(max(1, way.tuning.tile_rows // (1 + _DRAWS)))
        rates = [predict_way(way, launched, chip, _DRAWS, joint) for joint in (False, True)]
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
    table: Annotated[
        list[str] | None, typer.Option(help="Table to compile, such as sm90; may be repeated.", show_default="all")
    ] = None,
    model: Annotated[
        bool,
        typer.Option(
            "--model",
            help="Predict the time of each launch of the tables sm90 (H200), sm80 (A100) and sm100 (B200). The generic"
            " table, for all other GPUs, is compiled only.",
        ),
    ] = False,
    measured: Annotated[
        Path | None,
        typer.Option(
            help="What benchmarks.gpu wrote, to print beside --model.", show_default="its file in benchmarks/results"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Print kernel, architecture, configuration, registers, spills, shared memory and matrix instructions."""
    if model:
        print_model(measured)
        return
    if not compile_only:
        raise typer.BadParameter("timing kernels needs a GPU: python -m benchmarks.gpu; here, give --compile-only")
    line = "{:8} {:7} {:22} {:38} {:>9} {:>6} {:>7} {:>4} {}"
    if not as_json:
        print(line.format("table", "arch", "kernel", "config", "registers", "spills", "shared", "MMA", ""))
    faults = 0
    for name, kernel in compile_shipped(table or ()):
        faults += len(kernel.faults)
        if as_json:
            print(json.dumps({"table": name, **asdict(kernel), "faults": kernel.faults}))
            continue
        spills, said = kernel.stack + kernel.local, "; ".join(kernel.faults) or kernel.instruction
        row = (kernel.architecture, kernel.label, kernel.config, kernel.registers, spills, kernel.shared, kernel.matrix)
        print(line.format(name, *row, said), flush=True)
    if faults:
        raise SystemExit(1)


if __name__ == "__main__":
    app()
