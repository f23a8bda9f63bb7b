"""Tell in a Parquet file what its columns are, in a form that astropy's `Table.read` understands.

astropy looks for two kinds of keys in the metadata of the schema: `table_meta_yaml`, the header of its ECSV form
(https://github.com/astropy/astropy-APEs/blob/main/APE6.rst), and `table::len::NAME`, the width of a text column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

from apnet_fast.catalog.columns import Column, Form

_HEADER, _LENGTH = "table_meta_yaml", "table::len::"
_TYPES: dict[Form, str] = {"A": "string", "B": "string", "E": "float32", "J": "int32", "K": "int64", "L": "bool"}


def astropy_metadata(columns: Sequence[Column], widths: Mapping[str, int]) -> dict[str, str]:
    """Return keys and values for the metadata of a schema: description, unit and UCD (in `meta`) of each column.

    widths: longest text of each text column, from `text_widths`.
    """
    header = {"datatype": [_described(column) for column in columns]}
    lengths = {
        f"{_LENGTH}{column.name}": str(max(widths.get(column.name, 0), column.length))
        for column in columns
        if column.has_width
    }
    return {_HEADER: yaml.safe_dump(header, sort_keys=False, width=10**6), **lengths}


def is_astropys(key: str) -> bool:
    """Return whether a key of a schema's metadata is one of those above, and no card."""
    return key == _HEADER or key.startswith(_LENGTH)


def _described(column: Column) -> dict[str, object]:
    unit = {"unit": column.tunit} if column.tunit else {}
    return {
        "name": column.name,
        **unit,
        "datatype": _TYPES[column.form],
        "description": column.comment,
        "meta": {"ucd": column.ucd},
    }
