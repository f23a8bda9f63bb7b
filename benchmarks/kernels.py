"""`python -m benchmarks.kernels --compile-only`: compile every shipped configuration and report what came out.

No GPU is needed. The exit status is 1 if anything spills, uses local memory, needs more shared memory than the chip
has, or computes a convolution without matrix instructions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from apnet_fast.kernels.aot import Compiled

app = typer.Typer(add_completion=False)


def compile_shipped() -> Iterator[tuple[str, Compiled]]:
    """Yield (table, compiled launch) for every table on its own architecture, and for the generic table on all."""
    # Kernels defined while the interpreter is on cannot be compiled.
    os.environ.pop("TRITON_INTERPRET", None)
    from apnet_fast.kernels.aot import ARCHITECTURES, compile_launch, launches
    from apnet_fast.kernels.tuning import GENERIC, shipped

    for name, tuning in shipped().items():
        for architecture in ARCHITECTURES if name == GENERIC else (name,):
            for launch in launches(tuning):
                yield name, compile_launch(launch, architecture)


@app.command()
def main(
    compile_only: Annotated[bool, typer.Option("--compile-only", help="Compile and print; run nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Print kernel, architecture, configuration, registers, spills, shared memory and matrix instructions."""
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
