"""`python -m apnet_fast.flags [VALUE...]`: print every table of result flags, or say what is set in a value."""

from __future__ import annotations

from typing import Annotated

import typer

from apnet_fast.support.common_options import with_common_options
from apnet_fast.support.console import run_app

app = typer.Typer(add_completion=False)


@app.command("flags")
@with_common_options
def flags_command(
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="[VALUE...]", help="Values of result_flags, such as 2080 or 0x820."),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            help="Table of the catalogue: the value of its card FLAGTAB.",
            show_default="every table that has these bits",
        ),
    ] = None,
) -> None:
    """Print the tables of result flags, or say which bits are set in values of result_flags."""
    # Imported here, so that --help is quick.
    from apnet_fast.recipes.flag_tables import TABLES
    from apnet_fast.recipes.flag_words import number_of, table_of, value_text

    chosen = TABLES if table is None else (table_of(table),)
    pieces = [value_text(number_of(value), chosen) for value in values] if values else [each.text() for each in chosen]
    typer.echo("\n\n".join(pieces))


if __name__ == "__main__":
    run_app(app)
