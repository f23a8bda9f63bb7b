"""`python -m apnet_fast.report`: show a run as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apnet_fast.support.common_options import with_common_options
from apnet_fast.support.console import run_app
from apnet_fast.support.notices import tell

app = typer.Typer(add_completion=False)


@app.command("report")
@with_common_options
def report_command(
    run_dir: Annotated[Path, typer.Argument(help="Output folder of a finished run of `reprocess`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")] = Path("report.html"),
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Earlier catalogue, or output folder of an earlier run, to compare with; may be repeated."),
    ] = None,
) -> None:
    """Write a report of a run: Kiel diagrams, sky, labels, errors, flags, failures, rate, and their numbers.

    The file stands alone: figures are inside it, and it loads nothing. This needs matplotlib, the extra `plots`.
    """
    from apnet_fast.plots.figures import check_matplotlib
    from apnet_fast.report.report import report_of
    from apnet_fast.support.files import check_folder_of, written_whole

    check_matplotlib()
    check_folder_of(output)
    text = report_of(run_dir, against or ())
    with written_whole(output) as partial:
        partial.write_text(text, encoding="utf-8")
    tell(f"{output}: {len(text.encode()) / 1e6:.1f} MB")


if __name__ == "__main__":
    run_app(app)
