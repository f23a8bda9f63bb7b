"""Write results as CSV, ECSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import yaml

from apnet_fast.predict.columns import ResultColumn, Value, result_columns
from apnet_fast.predict.stars import SpectrumResult
from apnet_fast.recipes import Recipe

# Units as astropy reads them; those of the catalogues are written as in the released files.
_GRAVITY = "dex(cm / s2)"
_ECSV_UNITS = {"logg": _GRAVITY, "logg_sample_median": _GRAVITY, "e_logg": "dex", "raw_e_logg": "dex"}
_ECSV_TYPES = {"A": "string", "E": "float32", "J": "int32", "K": "int64", "L": "bool"}


def csv_text(results: Sequence[SpectrumResult], recipe: Recipe, about: Mapping[str, Value]) -> str:
    """Return a table with one line of names, then one line per spectrum; values that are not known are empty."""
    return _lines(results, result_columns(recipe), unknown_number="")


def ecsv_text(results: Sequence[SpectrumResult], recipe: Recipe, about: Mapping[str, Value]) -> str:
    """Return CSV below a header with types, units and descriptions, which astropy reads: ECSV 1.0.

    Numbers that are not known are NaN if they are measured, and empty (masked) if they are integers.
    """
    columns = result_columns(recipe)
    header = {
        "delimiter": ",",
        "datatype": [_described(column) for column in columns],
        "meta": dict(about),
        "schema": "astropy-2.0",
    }
    text = yaml.safe_dump(header, sort_keys=False, default_flow_style=None, width=10_000, allow_unicode=True)
    lines = ["%ECSV 1.0", "---", *text.splitlines()]
    return "".join(f"# {line}\n" for line in lines) + _lines(results, columns, unknown_number="nan")


def json_text(results: Sequence[SpectrumResult], recipe: Recipe, about: Mapping[str, Value]) -> str:
    """Return an object with what the labels depend on, and a list of spectra; values that are not known are null."""
    columns = result_columns(recipe)
    spectra = [
        {column.name: list(result.flags) if column.name == "flags" else column.value(result) for column in columns}
        for result in results
    ]
    return json.dumps({**about, "spectra": spectra}, indent=2, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Sequence[SpectrumResult], Recipe, Mapping[str, Value]], str]] = {
    "csv": csv_text,
    "ecsv": ecsv_text,
    "json": json_text,
}


def _lines(results: Sequence[SpectrumResult], columns: Sequence[ResultColumn], unknown_number: str) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([column.name for column in columns])
    for result in results:
        writer.writerow([_cell(column, result, unknown_number) for column in columns])
    return buffer.getvalue()


def _cell(column: ResultColumn, result: SpectrumResult, unknown_number: str) -> str:
    value = column.value(result)
    if value is None:
        return unknown_number if column.form == "E" else ""
    if column.form == "E":
        return str(np.float32(value))  # as few digits as give the same float32 back
    return str(value)


def _described(column: ResultColumn) -> dict[str, str]:
    described = {"name": column.name, "datatype": _ECSV_TYPES[column.form], "description": column.description}
    if column.unit:
        described["unit"] = _ECSV_UNITS.get(column.name, column.unit)
    return described
