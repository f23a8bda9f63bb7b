"""Show results on a terminal: a table, the flags in words, and why spectra have no labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, TextIO

from apnet_fast.predict.stars import SpectrumResult
from apnet_fast.recipes import LABELS
from apnet_fast.recipes.flag_tables import FlagTable

if TYPE_CHECKING:
    from rich.table import Table

_HEADS = {"teff": "Teff [K]", "logg": "log g", "fe_h": "[Fe/H]"}
_FORMATS = {"teff": (".0f", ".0f"), "logg": (".2f", ".2f"), "fe_h": ("+.2f", ".2f")}
_WORDS = ("object", "spectrum", "flags")
# Columns that a narrow terminal has no room for; the number of a spectrum still tells which it is.
_LEFT_OUT_FIRST = ("S/N", "object", "spectrum")
_ANY_WIDTH = 10_000
# For a table that is asked for without a terminal.
_WIDTH = 120


def show(results: Sequence[SpectrumResult], table: FlagTable, out: TextIO, width: int | None = None) -> None:
    """Write the table; below it each flag that occurs, in words, and the reason of each spectrum without labels.

    Nothing is broken within a word. Flags that do not fit beside the labels are listed below them. If the labels do
    not fit either, S/N, object and spectrum are left out with a note.

    width: columns of characters; default the terminal's, or 120 without one.
    """
    from rich.console import Console

    if width is None and not out.isatty():
        width = _WIDTH
    console = Console(file=out, width=width, highlight=False)
    cells = _cells(results)
    left_out: list[str] = []
    flags = cells.pop("flags") if _breadth(cells) > console.width else []
    for head in _LEFT_OUT_FIRST:
        if _breadth(cells) > console.width:
            del cells[head]
            left_out.append(head)
    # A narrower terminal than this breaks lines by itself.
    wide = Console(file=out, width=max(console.width, _breadth(cells)), highlight=False)
    wide.print(_grid(cells))

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    if left_out:
        say(f"({', '.join(left_out)}: not shown, the terminal is too narrow; --format csv has all)")
    for result, text in zip(results, flags, strict=False):
        if not result.flags:
            continue
        head = f"{result.number}: "
        console.print(
            fill(text, console.width, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False),
            markup=False,
            soft_wrap=True,
        )
    occurring = {name for result in results for name in result.flags}
    for bit in table.bits:
        if bit.name in occurring:
            say(f"{bit.name}: {bit.description}")
    if occurring:
        say("(exact conditions: python -m apnet_fast.flags)")
    for result in results:
        if not result.has_result:
            record = result.record
            say(f"{result.number}: {record.reason}: {record.text} [{record.path}]")


def _cells(results: Sequence[SpectrumResult]) -> dict[str, list[str]]:
    """Return the texts of each column of the table, by its head."""
    records = [result.record for result in results]
    return {
        "#": [str(result.number) for result in results],
        "object": [record.star.obj for record in records],
        "spectrum": [spectrum_name(result) for result in results],
        "S/N": [f"{record.snr:.0f}" if math.isfinite(record.snr) else "–" for record in records],
        **{_HEADS[label]: [value_text(result, label) for result in results] for label in LABELS},
        "flags": [" ".join(result.flags) or "none" for result in results],
    }


def _breadth(cells: Mapping[str, Sequence[str]]) -> int:
    """Return how many characters wide the table with these columns is."""
    from rich.console import Console

    return Console(width=_ANY_WIDTH).measure(_grid(cells)).maximum


def _grid(cells: Mapping[str, Sequence[str]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for head in cells:
        grid.add_column(head, justify="left" if head in _WORDS else "right", no_wrap=True)
    for row in zip(*cells.values(), strict=True):
        grid.add_row(*map(Text, row))
    return grid


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
