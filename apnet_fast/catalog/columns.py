"""The columns of the two products: names, FITS types, nulls, units and comments.

Names, order, types and comments are those of Astra 0.6.0's `astraAllStarApogeeNet` and
`astraAllVisitApogeeNet`; the columns of the last group are this package's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from apnet_fast.spectra.batch import Product

Form = Literal["A", "E", "D", "J", "K", "L"]

_NULLS: dict[Form, object] = {
    "A": "",
    "E": np.nan,
    "D": np.nan,
    "J": -1,
    "K": -1,
    "L": False,
}
_ARROW: dict[Form, pa.DataType] = {
    "A": pa.string(),
    "E": pa.float32(),
    "D": pa.float64(),
    "J": pa.int32(),
    "K": pa.int64(),
    "L": pa.bool_(),
}
_NUMPY: dict[Form, str] = {"E": "f4", "D": "f8", "J": "i4", "K": "i8", "L": "?"}


@dataclass(frozen=True)
class Column:
    """One catalogue column.

    form: FITS type letter, without the width of a text (that is the longest value of the file). bits: the integer
    is a field of bits.
    """

    name: str
    form: Form
    comment: str
    category: str
    unit: str = ""
    bits: bool = False

    @property
    def null(self) -> object:
        """What stands for "not known": NaN, -1, False, "", or 0 in a field of bits."""
        return 0 if self.bits else _NULLS[self.form]

    @property
    def arrow_type(self) -> pa.DataType:
        """Type of the Parquet column."""
        return _ARROW[self.form]

    def numpy_type(self, width: int) -> str:
        """Type of the FITS column; `width` is the longest text in bytes, for form A."""
        return f"S{max(width, 1)}" if self.form == "A" else _NUMPY[self.form]

    @property
    def fits_comment(self) -> str:
        """Comment of the TTYPE card: the unit, where there is one, in brackets at the end."""
        return f"{self.comment} [{self.unit}]" if self.unit else self.comment


_LOGG = "log10(cm/s^2)"

_WHO = "Identifiers"
_PLACE = "Astrometry"
_PRODUCT = "Data Product Keywords"
_ASTRA = "Astra Metadata"
_LABELS = "Stellar Parameters"
_RAW = "Formal (raw) uncertainties"
_OWN = "Provenance (apnet_fast)"

_SOURCE = (
    Column("healpix", "J", "HEALPix (128 side)", _WHO),
    Column("ra", "E", "Right ascension", _PLACE, "deg"),
    Column("dec", "E", "Declination", _PLACE, "deg"),
)

_RESULTS = (
    Column("task_pk", "K", "Task model primary key", _ASTRA),
    Column("source_pk", "K", "Unique source primary key", _ASTRA),
    Column("v_astra", "A", "Astra version", _ASTRA),
    Column("created", "A", "Datetime when task record was created", _ASTRA),
    Column("t_elapsed", "E", "Core-time elapsed on this analysis", _ASTRA, "s"),
    Column("t_overhead", "E", "Estimated core-time spent in overhads", _ASTRA, "s"),  # so spelt in the released file
    Column("tag", "A", "Experiment tag for this result", _ASTRA),
    Column("teff", "E", "Stellar effective temperature", _LABELS, "K"),
    Column("e_teff", "E", "Error on stellar effective temperature", _LABELS, "K"),
    Column("logg", "E", "Surface gravity", _LABELS, _LOGG),
    Column("e_logg", "E", "Error on surface gravity", _LABELS, _LOGG),
    Column("fe_h", "E", "[Fe/H]", _LABELS, "dex"),
    Column("e_fe_h", "E", "Error on [Fe/H]", _LABELS, "dex"),
    Column("result_flags", "K", "Flags describing the results", _LABELS, bits=True),
    Column("flag_warn", "L", "Warning flag for results", _LABELS),
    Column("flag_bad", "L", "Bad flag for results", _LABELS),
    Column("raw_e_teff", "E", "Raw error on stellar effective temperature", _RAW, "K"),
    Column("raw_e_logg", "E", "Raw error on surface gravity", _RAW, _LOGG),
    Column("raw_e_fe_h", "E", "Raw error on [Fe/H]", _RAW, "dex"),
    Column("path", "A", "File the spectrum was read from", _OWN),
    Column("file_row", "J", "0-based row in HDU 1 and 2 of that file", _OWN),
    Column("starver", "A", "Version (STARVER) of the star's file", _OWN),
    Column("identity", "A", "What the noise draws are keyed on", _OWN),
    Column("reason", "A", "Why there is no result; empty if there is", _OWN),
)

STAR_COLUMNS: tuple[Column, ...] = (
    *_SOURCE,
    Column("spectrum_pk", "K", "Unique spectrum primary key", _WHO),
    Column("release", "A", "SDSS release", _PRODUCT),
    Column("filetype", "A", "SDSS file type that stores this spectrum", _PRODUCT),
    Column("apred", "A", "APOGEE reduction pipeline", _PRODUCT),
    Column("apstar", "A", "Unused DR17 apStar keyword (default: stars)", _PRODUCT),
    Column("obj", "A", "Object name", _PRODUCT),
    Column("telescope", "A", "Short telescope name", _PRODUCT),
    Column("field", "A", "Field identifier", _PRODUCT),
    Column("prefix", "A", "Prefix used to separate SDSS 4 north/south", _PRODUCT),
    Column("n_visits", "J", "Number of APOGEE visits", "Number and Quality of Visits"),
    Column("snr", "E", "Signal-to-noise ratio", "Summary Statistics"),
    *_RESULTS,
)

VISIT_COLUMNS: tuple[Column, ...] = (
    *_SOURCE,
    Column("spectrum_pk", "K", "Unique spectrum primary key", _WHO),
    Column("release", "A", "SDSS release", _PRODUCT),
    Column("filetype", "A", "SDSS file type that stores this spectrum", _PRODUCT),
    Column("apred", "A", "APOGEE reduction pipeline", _PRODUCT),
    Column("plate", "A", "Plate identifier", _PRODUCT),
    Column("telescope", "A", "Short telescope name", _PRODUCT),
    Column("fiber", "J", "Fiber number", _PRODUCT),
    Column("mjd", "J", "Modified Julian date of observation", _PRODUCT),
    Column("field", "A", "Field identifier", _PRODUCT),
    Column("prefix", "A", "Prefix used to separate SDSS 4 north/south", _PRODUCT),
    Column("reduction", "A", "An `obj`-like keyword used for apo1m spectra", _PRODUCT),
    Column("obj", "A", "Object name", _PRODUCT),
    Column("snr", "E", "Signal-to-noise ratio", "Statistics and Spectrum Quality"),
    Column("apstar", "A", "Unused DR17 apStar keyword (default: stars)", _PRODUCT),
    *_RESULTS,
)

COLUMNS: dict[Product, tuple[Column, ...]] = {"star": STAR_COLUMNS, "visit": VISIT_COLUMNS}


def arrow_schema(product: Product) -> pa.Schema:
    """Parquet schema of a product; description and unit are metadata of each field."""
    return pa.schema(
        [
            pa.field(
                column.name,
                column.arrow_type,
                nullable=False,
                metadata={"description": column.comment, "unit": column.unit},
            )
            for column in COLUMNS[product]
        ]
    )
