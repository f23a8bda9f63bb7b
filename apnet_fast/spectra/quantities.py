"""Turn flux and errors with a unit into plain numbers in the unit that the networks know.

astropy's Quantities are recognised by what they have (`unit`, `to_value`). astropy is imported only for them, so it is
needed by nobody else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from apnet_fast.recipes.flux import FLUX_UNIT
from apnet_fast.spectra.containers import Flux, unpacked
from apnet_fast.spectra.masked import is_missing, listed
from apnet_fast.support.errors import UsageError

_REMEDY = f"convert it to {FLUX_UNIT} before, or give plain numbers in this unit"


class UnitError(UsageError):
    """Flux or errors have a unit that is not that of flux: a fault of the caller's code, not of one spectrum."""


def flux_and_error(flux: Flux, error: ArrayLike | None) -> tuple[ArrayLike, ArrayLike]:
    """Return flux and errors as plain values in 1e-17 erg/s/cm^2/Angstrom; without a unit they come back as they are.

    If `flux` is a container (`spectra.containers`), `error` may be None: then it is the container's.

    Raises UnitError, naming the unit, for one that is not a flux density per wavelength, for units of other libraries,
    and if only one of the two, or only some rows, have a unit; UsageError as `containers.unpacked` does.
    """
    return _both(*unpacked(flux, error), "error", 1)


def flux_and_ivar(flux: ArrayLike, ivar: ArrayLike) -> tuple[ArrayLike, ArrayLike]:
    """Return flux and inverse variances as plain values, as `flux_and_error` does."""
    return _both(flux, ivar, "ivar", -2)


def _both(flux: ArrayLike, other: ArrayLike, what: str, power: int) -> tuple[ArrayLike, ArrayLike]:
    flux, other = listed(flux), listed(other)
    flux_unit, other_unit = _unit_of(flux, "flux"), _unit_of(other, what)
    if flux_unit is None and other_unit is None:
        return flux, other
    if flux_unit is None or other_unit is None:
        raise UnitError(
            f"only one of flux and {what} has a unit",
            got=f"flux: {_named(flux_unit)}, {what}: {_named(other_unit)}",
            expected="both or none",
            remedy=_REMEDY,
        )
    return _values(flux, "flux", 1), _values(other, what, power)


def _named(unit: object) -> str:
    return "no unit" if unit is None else str(unit) or "dimensionless"


def _unit_of(values: Any, what: str) -> Any:
    """Return the unit of values, or of the first row of a list; None if there is none.

    Raises UnitError if some rows of a list have a unit and others have none; missing rows do not count.
    """
    if isinstance(values, list | tuple):
        numbers = [each for each in values if isinstance(each, float | int | np.generic) and each == each]
        rows = [each for each in values if not isinstance(each, float | int | np.generic) and not is_missing(each)]
        found = [_unit_of(each, what) for each in rows]
        with_unit = [unit for unit in found if unit is not None]
        bare = len(numbers) + len(found) - len(with_unit)
        if with_unit and bare:
            raise UnitError(
                f"only some rows of {what} have a unit",
                got=f"{bare} of {bare + len(with_unit)} without",
                expected="a unit for all or for none",
                remedy=_REMEDY,
            )
        return with_unit[0] if with_unit else None
    unit = getattr(values, "unit", None)
    if unit is None and getattr(values, "units", None) is not None:
        raise UnitError(f"{what} has a unit of a library that is not known here", got=values.units, remedy=_REMEDY)
    return unit


def _values(values: Any, what: str, power: int) -> Any:
    from astropy import units

    target = units.Unit("1e-17 erg / (s cm2 Angstrom)") ** power
    if isinstance(values, list | tuple):
        return [each if _unit_of(each, what) is None else _values(each, what, power) for each in values]
    try:
        if hasattr(values, "to_value"):
            return values.to_value(target)
        if isinstance(values, np.ndarray):  # a column of a table
            factor = units.Unit(_unit_of(values, what)).to(target)
            return (np.ma.asarray(values) if isinstance(values, np.ma.MaskedArray) else np.asarray(values)) * factor
    # What astropy raises for units it does not know, or that are not linear, such as magnitudes.
    except (ValueError, TypeError, AttributeError) as error:
        raise UnitError(
            f"{what} is in another unit",
            got=_named(_unit_of(values, what)),
            expected=f"a unit that converts to {target}",
            remedy="convert flux per frequency with astropy.units.spectral_density; do not divide it by its median",
        ) from error
    raise UnitError(
        f"{what} is not an array", got=f"{type(values).__name__} in {_named(_unit_of(values, what))}", remedy=_REMEDY
    )
