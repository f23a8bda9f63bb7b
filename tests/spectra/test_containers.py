"""Objects that hold flux and errors give both; what does not fit the grid is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from apnet_fast.spectra.containers import error_of, unpacked
from apnet_fast.spectra.masked import without_mask
from apnet_fast.spectra.quantities import flux_and_error
from apnet_fast.support.errors import UsageError
from apnet_fast.support.grid import wavelength

nddata = pytest.importorskip("astropy.nddata")
units = pytest.importorskip("astropy.units")
OURS = units.Unit("1e-17 erg / (s cm2 Angstrom)")

FLUX = np.linspace(400, 600, 8575)
ERROR = np.linspace(4, 6, 8575)
MASK = np.arange(8575) % 100 == 0


def spectrum(axis: Any = None, **changes: Any) -> SimpleNamespace:
    """What `Spectrum` of specutils has, as far as it is used: that package need not be there."""
    parts = {
        "data": FLUX,
        "unit": OURS,
        "mask": MASK,
        "uncertainty": nddata.StdDevUncertainty(ERROR, unit=OURS),
        "flux": FLUX * OURS,
        "spectral_axis": wavelength() * units.AA if axis is None else axis,
    }
    return SimpleNamespace(**parts | changes)


@pytest.mark.parametrize(
    "uncertainty",
    [
        nddata.StdDevUncertainty(ERROR),
        nddata.VarianceUncertainty(ERROR**2),
        nddata.InverseVariance(ERROR**-2),
        nddata.StdDevUncertainty(ERROR / 10, unit="1e-16 erg / (s cm2 Angstrom)"),
        nddata.VarianceUncertainty(ERROR**2 / 100, unit="1e-32 erg2 / (s2 cm4 Angstrom2)"),
        nddata.InverseVariance(ERROR**-2 * 100, unit=units.Unit("1e-16 erg / (s cm2 Angstrom)") ** -2),
    ],
    ids=["std", "var", "ivar", "std of another unit", "var of another unit", "ivar of another unit"],
)
def test_uncertainties_of_every_type(uncertainty: Any) -> None:
    for container in (nddata.NDData(FLUX, uncertainty=uncertainty, mask=MASK, unit=OURS), spectrum()):
        flux, error = map(without_mask, flux_and_error(container, None))
        np.testing.assert_allclose(flux, np.where(MASK, np.nan, FLUX), rtol=1e-6)
        np.testing.assert_allclose(error, np.where(MASK, np.nan, ERROR), rtol=1e-6)


def test_without_units_and_masks_numbers_stay_as_they_are() -> None:
    container = nddata.NDData(FLUX, uncertainty=nddata.StdDevUncertainty(ERROR))
    flux, error = unpacked(container, None)
    assert np.array_equal(flux, FLUX)
    assert np.array_equal(error, ERROR)
    flux, error = unpacked([container, container], None)
    assert np.array_equal(without_mask(flux, np.float64), [FLUX, FLUX])
    assert np.array_equal(without_mask(error, np.float64), [ERROR, ERROR])
    _, error = unpacked(container, 2 * ERROR)
    assert np.array_equal(error, 2 * ERROR)


def test_containers_in_columns_arrays_and_iterators() -> None:
    pandas = pytest.importorskip("pandas")
    rows = [nddata.NDData(k * FLUX, uncertainty=nddata.StdDevUncertainty(k * ERROR)) for k in (1, 2)]
    array = np.empty(2, dtype=object)
    array[:] = rows
    for given in (pandas.Series(rows), array, iter(rows)):
        flux, error = unpacked(given, None)
        assert np.array_equal(without_mask(flux, np.float64), [FLUX, 2 * FLUX])
        assert np.array_equal(without_mask(error, np.float64), [ERROR, 2 * ERROR])
    with pytest.raises(UsageError, match=r"some spectra have errors of their own, others .*; got NDData, ndarray"):
        unpacked([rows[0], FLUX], None)


def test_what_is_no_container_comes_back() -> None:
    for flux in (FLUX, FLUX.tolist(), [FLUX, FLUX], []):
        assert unpacked(flux, ERROR)[0] is flux


def test_missing_errors_are_refused() -> None:
    with pytest.raises(UsageError, match="no errors; got None"):
        unpacked(FLUX, None)
    with pytest.raises(UsageError, match="errors that can be used; got no uncertainty"):
        unpacked(nddata.NDData(FLUX), None)
    unknown = nddata.NDData(FLUX, uncertainty=nddata.UnknownUncertainty(ERROR))
    with pytest.raises(UsageError, match=r"type 'unknown'; expected std \| var \| ivar"):
        unpacked(unknown, None)


def test_wavelengths_are_those_of_the_grid() -> None:
    unpacked(spectrum((wavelength() / 1e10 * units.m).to("nm")), None)
    one_pixel_off = wavelength() * 10**6e-6
    for axis, said in (
        (one_pixel_off * units.AA, "8575 pixels, 15101.01 to"),
        (wavelength()[:100] * units.AA, "got 100 pixels"),
    ):
        with pytest.raises(UsageError, match=f"not those of apStar files; .*{said}"):
            unpacked(spectrum(axis), None)
    with pytest.raises(UsageError, match="wavelengths of the spectrum are not known"):
        unpacked(spectrum(np.arange(8575) * units.pixel), None)


def test_spectra_of_specutils() -> None:
    specutils = pytest.importorskip("specutils")
    kind = getattr(specutils, "Spectrum", None) or specutils.Spectrum1D
    given = kind(
        flux=FLUX * OURS,
        spectral_axis=wavelength() * units.AA,
        uncertainty=nddata.InverseVariance(ERROR**-2),
        mask=MASK,
    )
    flux, error = map(without_mask, flux_and_error(given, None))
    np.testing.assert_allclose(flux, np.where(MASK, np.nan, FLUX), rtol=1e-6)
    np.testing.assert_allclose(error, np.where(MASK, np.nan, ERROR), rtol=1e-6)


def test_inverse_variances_that_are_not_positive_are_missing_errors() -> None:
    assert error_of([0, np.nan, np.inf, -1, -np.inf, 4]).tolist() == [0, 0, 0, 0, 0, 0.5]
    assert error_of(np.ma.array([4.0, 4.0], mask=[True, False])).tolist() == [0, 0.5]
    assert error_of(np.full((2, 3), 0.25)).tolist() == [[2.0] * 3] * 2


def test_variances_below_zero_are_missing() -> None:
    container = nddata.NDData(FLUX, uncertainty=nddata.VarianceUncertainty(np.where(MASK, -1.0, ERROR**2)))
    assert np.array_equal(np.isnan(unpacked(container, None)[1]), MASK)
