"""`python -m apnet_fast.recovery`: print recovered minus true labels of a catalogue, by signal-to-noise ratio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apnet_fast.support.common_options import with_common_options
from apnet_fast.support.console import run_app

app = typer.Typer(add_completion=False)


@app.command("recovery")
@with_common_options
def recovery_command(
    catalogue: Annotated[Path, typer.Argument(help="Star or visit catalogue (Parquet or FITS).")],
    labels: Annotated[
        list[Path], typer.Option(help="True labels (Parquet, FITS, CSV), like truth.parquet; may be repeated.")
    ],
    column: Annotated[
        list[str] | None, typer.Option(metavar="NAME=COLUMN", help="Column that holds teff, logg, fe_h, obj or path.")
    ] = None,
) -> None:
    """Print recovered minus true labels of a catalogue: bias, robust scatter and raw error, by S/N."""
    from apnet_fast.inputs.label_tables import named_columns
    from apnet_fast.validate.recovery import catalogue_recovery, recovery_lines

    for line in recovery_lines(catalogue_recovery(catalogue, labels, named_columns(column or []))):
        typer.echo(line)


if __name__ == "__main__":
    run_app(app)
