"""One catalogue column: its name, FITS type, null, unit and comment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from apnet_fast.catalog.columns.ucds import ucd_of

Form = Literal["A", "B", "E", "J", "K", "L"]

_NULLS: dict[Form, object] = {"A": "", "E": np.nan, "J": -1, "K": -1, "L": False}
_ARROW: dict[Form, pa.DataType] = {
    "A": pa.string(),
    "B": pa.binary(),
    "E": pa.float32(),
    "J": pa.int32(),
    "K": pa.int64(),
    "L": pa.bool_(),
}
# In the file, numbers are big-endian and a logical is the letter T or F.
_FITS: dict[Form, str] = {"E": ">f4", "J": ">i4", "K": ">i8", "L": "S1"}

# Of units that the released files give in words of their own.
_SPELLINGS = {"log10(cm/s^2)": "dex(cm.s**-2)", "Vega nMgy": "nMgy", "Vega": "mag"}


@dataclass(frozen=True)
class Column:
    """One catalogue column.

    form: FITS type letter (A: text, B: field of bits in bytes, E: float32, J: int32, K: int64, L: logical), without
    the width of A and B: that is the longest value of the file, at least `length`. category: the group whose card
    stands in front of it. unit: as the released files have it. bits: whether the integer is a field of bits. card:
    comment of the TTYPE card, if it is not "comment [unit]". note: text of a COMMENT card behind the column. true_unit:
    the unit, if the released files have none.
    """

    name: str
    form: Form
    comment: str
    category: str
    unit: str = ""
    bits: bool = False
    length: int = 1
    card: str = ""
    note: str = ""
    true_unit: str = ""

    @property
    def null(self) -> object:
        """Return the value for "not known": NaN, -1, False, "", or 0 in a field of bits."""
        if self.form == "B":
            return bytes(self.length)
        return 0 if self.bits else _NULLS[self.form]

    @property
    def nullable(self) -> bool:
        """Return whether Parquet has real nulls in it: the FITS null of bits and logicals is a value like any other."""
        return self.bits or self.form in "BL"

    @property
    def has_width(self) -> bool:
        """Return whether the column has a width of its own, as text and bytes do."""
        return self.form in "AB"

    @property
    def arrow_type(self) -> pa.DataType:
        """Return the type of the Parquet column."""
        return _ARROW[self.form]

    def numpy_type(self, width: int = 1) -> str:
        """Return the type of the column in a row of the FITS file; `width`: longest value [bytes] of forms A and B."""
        return f"S{max(width, self.length)}" if self.has_width else _FITS[self.form]

    def tform(self, width: int = 1) -> str:
        """Return the value of the TFORM card; `width` as in `numpy_type`."""
        return f"{max(width, self.length)}{self.form}" if self.has_width else self.form

    @property
    def fits_comment(self) -> str:
        """Return the comment of the TTYPE card: the unit, if there is one, in brackets at the end."""
        return self.card or (f"{self.comment} [{self.unit}]" if self.unit else self.comment)

    @property
    def tunit(self) -> str:
        """Return the unit as astropy spells it, for TUNIT cards and Parquet; "" without one."""
        return self.true_unit or _SPELLINGS.get(self.unit, self.unit)

    @property
    def ucd(self) -> str:
        """Return the column's UCD."""
        return ucd_of(self.name)
