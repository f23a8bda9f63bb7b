"""Quantities become plain numbers in the unit of apStar files; other units are refused by name."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from apnet_fast.recipes.flux import FLUX_UNIT
from apnet_fast.spectra.masked import without_mask
from apnet_fast.spectra.quantities import UnitError, flux_and_error, flux_and_ivar

units = pytest.importorskip("astropy.units")
OURS = units.Unit("1e-17 erg / (s cm2 Angstrom)")
VALUES = np.array([[100.0, 200.0, np.nan], [3.0, 4.0, 5.0]])


def test_plain_values_come_back_as_they_are() -> None:
    for values in (VALUES, VALUES.tolist(), np.ma.array(VALUES, mask=VALUES > 100), [VALUES[0], VALUES[1]]):
        flux, error = flux_and_error(values, values)
        assert flux is values
        assert error is values


def as_objects(kind: str, rows: list[Any]) -> Any:
    """Rows that are objects, such as Quantities, in something that is not a list."""
    if kind == "pandas":
        return pytest.importorskip("pandas").Series(rows)
    if kind == "iterator":
        return iter(rows)
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array


@pytest.mark.parametrize("kind", ["pandas", "array", "iterator"])
def test_rows_that_are_objects_keep_their_units(kind: str) -> None:
    rows = [row * units.Unit("1e-16 erg / (s cm2 Angstrom)") for row in VALUES]
    flux, error = flux_and_error(as_objects(kind, rows), as_objects(kind, rows))
    np.testing.assert_allclose(without_mask(flux), 10 * VALUES)
    np.testing.assert_allclose(without_mask(error), 10 * VALUES)
    _, ivar = flux_and_ivar(as_objects(kind, rows), as_objects(kind, [row**-2 for row in rows]))
    np.testing.assert_allclose(without_mask(ivar), (10 * VALUES) ** -2, rtol=1e-6)
    with_gap = without_mask(flux_and_error(as_objects(kind, [*rows, None]), as_objects(kind, [*rows, None]))[0])
    np.testing.assert_allclose(with_gap, [*10 * VALUES, [np.nan] * 3])
    jansky = [row * units.Jy for row in VALUES]
    with pytest.raises(UnitError, match="flux is in another unit; got Jy"):
        flux_and_error(as_objects(kind, jansky), as_objects(kind, jansky))
    plain = list(VALUES)
    assert np.array_equal(without_mask(flux_and_error(as_objects(kind, plain), VALUES)[0]), VALUES, equal_nan=True)


def test_our_unit_is_astropys() -> None:
    assert FLUX_UNIT == "1e-17 erg/s/cm^2/Angstrom"
    assert OURS.to("erg / (s cm2 Angstrom)") == pytest.approx(1e-17)


@pytest.mark.parametrize(
    "unit", ["erg / (s cm2 Angstrom)", "W / (m2 um)", "1e-16 erg / (s cm2 nm)", "1e-17 erg / (s cm2 Angstrom)"]
)
def test_flux_densities_per_wavelength_are_converted(unit: str) -> None:
    given = (VALUES * OURS).to(unit)
    flux, error = flux_and_error(given, given / 100)
    np.testing.assert_allclose(np.asarray(flux), VALUES)
    np.testing.assert_allclose(np.asarray(error), VALUES / 100)
    _, ivar = flux_and_ivar(given, (given / 100) ** -2)
    np.testing.assert_allclose(np.asarray(ivar) ** -0.5, VALUES / 100)


def test_masks_and_lists_stay() -> None:
    from astropy.table import Column, MaskedColumn
    from astropy.utils.masked import Masked

    mask = VALUES == 4
    expected = np.where(mask, np.nan, VALUES)
    for given in (Masked(VALUES * OURS, mask=mask), MaskedColumn(VALUES, mask=mask, unit=OURS)):
        np.testing.assert_allclose(without_mask(flux_and_error(given, given)[0]), expected)
    column = Column(VALUES * 1e-17, unit="erg / (s cm2 Angstrom)")
    np.testing.assert_allclose(without_mask(flux_and_error(column, column)[0]), VALUES, rtol=1e-6)
    rows = [row * OURS for row in VALUES]
    np.testing.assert_allclose(without_mask(flux_and_error(rows, rows)[0]), VALUES)


@pytest.mark.parametrize("plain", [VALUES[1], VALUES[1].tolist(), np.ma.array(VALUES[1]), np.float64(3), 3.0])
def test_rows_with_and_without_a_unit_are_refused(plain: object) -> None:
    for rows in ([VALUES[0] * OURS, plain], [plain, VALUES[0] * OURS]):
        with pytest.raises(UnitError, match="only some rows of flux have a unit; got 1 of 2 without"):
            flux_and_error(rows, VALUES * OURS)
        with pytest.raises(UnitError, match="only some rows of ivar have a unit"):
            flux_and_ivar(VALUES * OURS, [[VALUES[0] * OURS**-2, plain]])
    other = [VALUES[0] * OURS, VALUES[1] * OURS * units.m]
    with pytest.raises(UnitError, match="flux is in another unit"):
        flux_and_error(other, other)


@pytest.mark.parametrize("unit", ["Jy", "adu", "", "K", "erg / (s cm2)", "mag(AB)", "ct"])
def test_other_units_are_refused_by_name(unit: str) -> None:
    given = units.Quantity(VALUES, unit) if "mag" not in unit else units.Magnitude(VALUES, unit)
    with pytest.raises(UnitError, match="flux is in another unit") as caught:
        flux_and_error(given, given)
    assert f"got {given.unit.to_string() or 'dimensionless'};" in str(caught.value)
    good = VALUES * OURS
    with pytest.raises(UnitError, match="error is in another unit"):
        flux_and_error(good, given)


def test_columns_in_other_units_are_refused() -> None:
    from astropy.table import Column

    for unit in ("counts", "foo", "Jy"):
        given = Column(VALUES, unit=unit)
        with pytest.raises(UnitError, match=f"another unit; got {unit}"):
            flux_and_error(given, given)


def test_only_one_unit_is_refused() -> None:
    with pytest.raises(UnitError, match=r"only one of flux and error has a unit; got flux: 1e-17 .*error: no unit"):
        flux_and_error(VALUES * OURS, VALUES)
    with pytest.raises(UnitError, match="only one of flux and ivar"):
        flux_and_ivar(VALUES, VALUES / OURS**2)
    with pytest.raises(UnitError, match="another unit"):
        flux_and_ivar(VALUES * OURS, VALUES / OURS)


def test_units_of_other_libraries_are_refused() -> None:
    class Pint:
        magnitude, units = VALUES, "jansky"

    with pytest.raises(UnitError, match="a library that is not known here; got jansky"):
        flux_and_error(Pint(), Pint())  # type: ignore[arg-type]
    spectrum = SimpleNamespace(unit=OURS, flux=VALUES * OURS)
    with pytest.raises(UnitError, match="flux is not an array; got SimpleNamespace in 1e-17"):
        flux_and_error(spectrum, spectrum)  # type: ignore[arg-type]


def test_astropy_is_imported_for_quantities_alone() -> None:
    code = (
        "import sys, numpy as np; from apnet_fast.spectra.quantities import flux_and_error;"
        "flux_and_error(np.ones(3), [1.0, 2.0]); print('astropy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
