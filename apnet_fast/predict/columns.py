"""List the columns in which results are written, named as in the catalogues."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from apnet_fast.catalog.columns import product_columns
from apnet_fast.predict.stars import SpectrumResult
from apnet_fast.recipes import Recipe
from apnet_fast.spectra.identity import printable

Value = str | int | float | bool | None
_Getter = Callable[[SpectrumResult], object]

_BEFORE_THE_LABELS: dict[str, _Getter] = {
    "path": lambda result: printable(result.record.path),
    "file_row": attrgetter("record.row"),
    "release": attrgetter("record.star.release"),
    "obj": attrgetter("record.star.obj"),
    "telescope": attrgetter("record.star.telescope"),
    "mjd": attrgetter("record.visit.mjd"),
    "snr": attrgetter("record.snr"),
}
_AFTER_THE_LABELS: dict[str, _Getter] = {
    "reason": lambda result: str(result.record.reason or ""),
    "identity": attrgetter("record.identity"),
}


@dataclass(frozen=True)
class ResultColumn:
    """A column. form: FITS type letter, as in `catalog.columns.Column`. null: what stands for "not known"."""

    name: str
    form: str
    unit: str
    description: str
    null: object
    get: _Getter

    def value(self, result: SpectrumResult) -> Value:
        """Return the value of a spectrum, None if it is not known."""
        value = self.get(result)
        if (isinstance(value, float) and math.isnan(value)) or (self.null is not None and value == self.null):
            return None
        assert isinstance(value, str | int | float | bool)
        return value


def result_columns(recipe: Recipe) -> Sequence[ResultColumn]:
    """Return the columns for the results of a recipe, in order; some recipes have the medians of the draws."""
    known = {
        column.name: column
        for product in ("star", "visit")
        for column in product_columns(product, recipe.network, medians=recipe.medians)
    }

    def column(name: str, get: _Getter) -> ResultColumn:
        like = known[name]
        null = like.null if like.form in "AJ" and name != "reason" else None
        return ResultColumn(name, like.form, like.unit, like.comment, null, get)

    names = "Names of the bits that are set in result_flags"
    return (
        ResultColumn("number", "J", "", "Number of the spectrum, from 1", None, attrgetter("number")),
        ResultColumn("product", "A", "", "star (coadd) or visit", None, attrgetter("record.product")),
        *(column(name, get) for name, get in _BEFORE_THE_LABELS.items()),
        *(column(name, _label(name)) for name in recipe.label_names),
        ResultColumn("flags", "A", "", names, None, lambda result: "|".join(result.flags)),
        *(column(name, get) for name, get in _AFTER_THE_LABELS.items()),
    )


def _label(name: str) -> _Getter:
    return lambda result: result.labels[name]
