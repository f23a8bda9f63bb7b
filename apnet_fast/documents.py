"""Generate pages of docs/ from the code: `python -m apnet_fast.documents columns > docs/columns.md`.

`python -m apnet_fast documents verbs` prints the tables of docs/commands.md, which is else written by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import typer

from apnet_fast.support.common_options import common_option_names, group_of_verbs, with_common_options
from apnet_fast.support.console import run_app
from apnet_fast.support.errors import UsageError
from apnet_fast.support.variables import VARIABLES

app = group_of_verbs("Print the pages of docs/ that are generated from the code.")


@app.command("columns")
@with_common_options
def columns_command() -> None:
    """Print docs/columns.md: every column of the two catalogues."""
    print(columns_page())


@app.command("flags")
@with_common_options
def flags_command() -> None:
    """Print docs/flags.md: every bit of result_flags."""
    print(flags_page())


@app.command("verbs")
@with_common_options
def verbs_command(context: typer.Context) -> None:
    """Print the tables of docs/commands.md: every verb, common option and variable, with a line each."""
    root = context.find_root().command
    if "documents" not in getattr(root, "commands", {}):
        raise UsageError(
            "this part of the program does not know the other verbs",
            remedy="`python -m apnet_fast documents verbs` or `apnet-fast documents verbs`",
        )
    print("\n".join(verbs_tables(root)))


def verbs_tables(root: Any) -> list[str]:
    """Return the tables of verbs, common options and variables, of the program (a click group) with all verbs."""
    verbs = list(leaves(root))
    common = common_option_names()
    options = [
        [", ".join(f"`{name}`" for name in option.opts), option.help]
        for option in verbs[0][1].params
        if option.name in common
    ]
    return [
        *_table(["verb", "what it does"], ([f"`{name}`", first_line(verb.help)] for name, verb in verbs)),
        "",
        *_table(["common option", "what it does"], options),
        "",
        *_table(["variable", "what it gives"], ([f"`{name}`", gives] for name, gives in VARIABLES.items())),
    ]


def leaves(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every verb below a click group, with its full name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def first_line(text: str | None) -> str:
    """Return the first line of a help text."""
    return (text or "").strip().partition("\n")[0]


def columns_page() -> str:
    """Return the text of docs/columns.md."""
    from apnet_fast.catalog.columns import COLUMNS, Column, own_columns, product_columns
    from apnet_fast.catalog.foreign import DR17, DRP
    from apnet_fast.catalog.rows import FROM_THE_FILE
    from apnet_fast.spectra.batch import Product

    def foreign(product: Product, column: Column) -> Iterator[str]:
        for family in (DR17, DRP):
            names = [f"`{foreign.name}`" for foreign in family.columns[product] if foreign.ours == column.name]
            yield names[0] if names else ""

    def section(title: str, product: Product, first: int, last: int) -> list[str]:
        rows = []
        for number, column in enumerate(COLUMNS[product][first - 1 : last], start=first):
            null = {"A": '""', "B": "0 bytes", "E": "NaN"}.get(column.form, str(column.null))
            own = "file" if column.name in FROM_THE_FILE else ""
            what = column.comment + (f" [{column.unit}]" if column.unit else "")
            form = f"{column.length}B" if column.form == "B" else column.form
            rows.append([str(number), f"`{column.name}`", form, null, what, own, *foreign(product, column)])
        head = ["#", "name", "form", "null", "what", "from", "DR17 tables", "SDSS-V tables"]
        return [f"## {title}", "", *_table(head, rows), ""]

    stars, visits = (len(product_columns(product, "v3", own=False)) for product in ("star", "visit"))
    own, own_of_visits = (len(own_columns(product)) for product in ("star", "visit"))
    lines = [
        "# Columns of the catalogues",
        "",
        "Generated: `python -m apnet_fast.documents columns > docs/columns.md`. [products.md](products.md) explains",
        "the columns together and how to read them.",
        "",
        "Forms: A text (as wide as the longest value of the file), B bytes, E float32, J int32, K int64, L logical.",
        "Null: of the FITS file; in Parquet, fields of bits and logicals that are not known are null.",
        "From: `file` marks the columns that a spectrum's own file fills without `--catalog`. DR17 and SDSS-V tables:",
        "the name of the column in their allStar and allVisit, if it is another one. Astra's tables have our names.",
        "",
        *section("The source, in both products", "star", 1, 133),
        *section("The spectrum, star product", "star", 134, 172),
        *section("The spectrum, visit product", "visit", 134, 183),
        *section("The results (numbers of the star product; 11 more in the visit product)", "star", 173, stars),
        *section("Provenance of this package", "star", stars + 1, stars + own),
        *section("Further columns of the visit product", "visit", visits + own + 1, visits + own_of_visits),
        f"The star product has {stars} columns and the visit product {visits}, as Astra's have, and {own} and",
        f"{own_of_visits} more of this package's own. With network `v2`, `teff_sample_median`, `logg_sample_median`",
        "and `fe_h_sample_median` stand between `e_fe_h` and `result_flags`.",
    ]
    return "\n".join(lines)


def flags_page() -> str:
    """Return the text of docs/flags.md."""
    from apnet_fast.recipes.flag_tables import TABLES

    lines = [
        "# Bits of result_flags",
        "",
        "Generated: `python -m apnet_fast.documents flags > docs/flags.md`. The recipe of a run (card `RECIPE`) names",
        "its table (card `FLAGTAB`). `flag_warn` is set if a bit marked warn is, `flag_bad` if one marked bad is.",
        "Labels that mean nothing, because the weights know simulated spectra only, have `flag_bad` under every table.",
        "Conditions are evaluated on the values as the catalogue stores them, so that each bit can be recomputed from",
        "the file.",
        "",
    ]
    for table in TABLES:
        rows = []
        for bit in table.bits:
            roles = [role for role, names in (("warn", table.warn), ("bad", table.bad)) if bit.name in names]
            value = str(1 << bit.number)
            rows.append([str(bit.number), value, f"`{bit.name}`", ", ".join(roles), bit.condition, bit.description])
        lines += [f"## Table `{table.name}`", "", f"{table.source}.", ""]
        lines += [*_table(["bit", "value", "name", "in", "set if", "meaning"], rows), ""]
    return "\n".join(lines).rstrip()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(head), "|" + "---|" * len(head), *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    run_app(app)
