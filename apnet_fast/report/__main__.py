"""`python -m apnet_fast.report`: a run as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apnet_fast.support.console import run_app

app = typer.Typer(add_completion=False)


@app.command("report")
def report_command(
    run_dir: Annotated[Path, typer.Argument(help="Output folder of a finished run of `reprocess`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")] = Path("report.html"),
) -> None:
    """Write a report of a run: counts, flags, Kiel diagram, z-scores, stages, failures, provenance.

    The file stands alone: figures are inside it, and it links to nothing. Needs matplotlib, the extra `plots`.
    """
    from apnet_fast.plots.figures import check_matplotlib
    from apnet_fast.report.report import report_of
    from apnet_fast.support.errors import UsageError
    from apnet_fast.support.files import written_whole

    check_matplotlib()
    if not output.absolute().parent.is_dir():
        raise UsageError("no such folder", got=str(output.parent), remedy="make it first")
    text = report_of(run_dir)
    with written_whole(output) as partial:
        partial.write_text(text, encoding="utf-8")
    typer.echo(f"{output}: {len(text.encode()) / 1e6:.1f} MB")


if __name__ == "__main__":
    run_app(app)
