"""Show results on a terminal: a table, the flags in words, and why spectra have no labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TextIO

from apnet_fast.predict.stars import SpectrumResult
from apnet_fast.recipes import LABELS
from apnet_fast.recipes.flag_tables import FlagTable

_HEADS = {"teff": "Teff [K]", "logg": "log g", "fe_h": "[Fe/H]"}
_FORMATS = {"teff": (".0f", ".0f"), "logg": (".2f", ".2f"), "fe_h": ("+.2f", ".2f")}
# Of a table that is asked for where there is no terminal.
_WIDTH = 120


def show(results: Sequence[SpectrumResult], table: FlagTable, out: TextIO) -> None:
    """Write the table; below it each flag that occurs, in words, and the reason of each spectrum without labels."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(file=out, width=None if out.isatty() else _WIDTH, highlight=False)
    grid = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("#", justify="right", no_wrap=True)
    for head in ("object", "spectrum"):
        grid.add_column(head, overflow="fold")
    for head in ("S/N", *_HEADS.values()):
        grid.add_column(head, justify="right", no_wrap=True)
    grid.add_column("flags", overflow="fold")
    for result in results:
        record = result.record
        grid.add_row(
            str(result.number),
            record.star.obj,
            spectrum_name(result),
            f"{record.snr:.0f}" if math.isfinite(record.snr) else "–",
            *(value_text(result, label) for label in LABELS),
            " ".join(result.flags) or "none",
        )
    console.print(grid)
    occurring = {name for result in results for name in result.flags}
    for bit in table.bits:
        if bit.name in occurring:
            console.print(f"{bit.name}: {bit.description}", markup=False, soft_wrap=True)
    if occurring:
        console.print("(exact conditions: python -m apnet_fast.flags)", markup=False, soft_wrap=True)
    for result in results:
        if not result.has_result:
            record = result.record
            text = f"{result.number}: {record.reason}: {record.text} [{record.path}]"
            console.print(text, markup=False, soft_wrap=True)


def spectrum_name(result: SpectrumResult) -> str:
    """Return "coadd", or the visit by its MJD or, if that is not known, by its row."""
    record = result.record
    if record.product == "star":
        return "coadd"
    if record.visit.mjd >= 0:
        return f"visit {record.visit.mjd}"
    return f"visit, row {record.row}" if record.row >= 0 else "visit"


def value_text(result: SpectrumResult, label: str) -> str:
    """Return a label with its published error, as "4812 ± 31"; a dash if there is none."""
    value, error = result.labels[label], result.labels[f"e_{label}"]
    if not math.isfinite(value):
        return "–"
    of_value, of_error = _FORMATS[label]
    return f"{value:{of_value}}" + (f" ± {error:{of_error}}" if math.isfinite(error) else "")
