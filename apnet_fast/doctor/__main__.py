"""`python -m apnet_fast.doctor`: print what a bug report needs, and whether the engines compute what they should."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from apnet_fast.support.common_options import with_common_options
from apnet_fast.support.console import run_app

app = typer.Typer(add_completion=False)

EXIT_FAILED = 1


@app.command("doctor")
@with_common_options
def doctor_command(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Text file to write as well, to attach to a report.")
    ] = None,
) -> None:
    """Print versions, processor, GPUs, caches and environment, and check the engines of this machine.

    The check takes seconds, and some 20 s more the first time, when code is compiled. Exit codes: 0 all is well, 1 a
    check failed, 2 usage.
    """
    from apnet_fast.doctor.selfcheck import verdicts
    from apnet_fast.support.files import check_folder_of, written_whole

    if output is not None:
        check_folder_of(output)
    lines = []
    for line in _facts():
        lines.append(line)
        typer.echo(line)
    failed = 0
    for verdict in verdicts():
        failed += not verdict.passed
        word = "ok" if verdict.passed else "FAILED"
        lines.append(f"  {word:6}  {verdict.name}: {verdict.text} ({verdict.seconds:.1f} s)")
        typer.echo(lines[-1])
    lines.append("all is well" if not failed else f"{failed} failed: please report it with all the lines above")
    typer.echo(lines[-1])
    if output is not None:
        with written_whole(output) as partial:
            partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if failed:
        raise SystemExit(EXIT_FAILED)


def _facts() -> Iterator[str]:
    from apnet_fast.doctor import machine, surroundings

    sections = {
        "Versions": machine.versions,
        "Processor": machine.processor,
        "GPUs": machine.gpus,
        "Caches": surroundings.caches,
        "Environment": surroundings.environment,
    }
    for title, facts in sections.items():
        yield title
        found = facts()
        width = max(map(len, found))
        yield from (f"  {name:{width}}  {value}" for name, value in found.items())
    yield "Engines, against plain float64"


if __name__ == "__main__":
    run_app(app)
