"""Take flux and errors out of objects that hold both: astropy's NDData, Spectrum of specutils, and lists of either.

They are recognised by what they have (`data`, `uncertainty`, `mask`, `unit`), so that neither library is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apnet_fast.spectra.masked import listed, without_mask
from apnet_fast.support.errors import UsageError
from apnet_fast.support.grid import PIXELS, wavelength

# Relative tolerance of the wavelengths: half a pixel.
_GRID_TOLERANCE = 0.5 * 6e-6 * float(np.log(10.0))


class SpectrumContainer(Protocol):
    """Name what is used of a container. A `spectral_axis`, if there is one, has to be the grid of apStar files."""

    @property
    def data(self) -> Any:
        """Flux, (8575,) or (n, 8575)."""

    @property
    def uncertainty(self) -> Any:
        """Standard deviations, variances or inverse variances."""

    @property
    def mask(self) -> Any:
        """True for pixels that are missing, or None."""

    @property
    def unit(self) -> Any:
        """Unit of the flux, or None."""


Flux = ArrayLike | SpectrumContainer | Sequence[SpectrumContainer]


def unpacked(flux: Any, error: Any) -> tuple[Any, Any]:
    """Return flux and 1-sigma errors, those of the containers if `flux` is one or a list of them.

    Columns and arrays of objects and iterators are lists too. Masked pixels are NaN in both. With a unit both are
    Quantities. Errors that are given replace the container's. Raises UsageError if there are no errors, if only some
    rows are containers, for uncertainties of unknown type, and for wavelengths that are not those of apStar files.
    """
    flux = listed(flux)
    if isinstance(flux, list | tuple) and any(map(_is_container, flux)):
        if not all(map(_is_container, flux)):
            raise UsageError(
                "some spectra have errors of their own, others are plain arrays",
                got=", ".join(sorted({type(each).__name__ for each in flux})),
                expected="NDData or Spectrum for all of them, or arrays for all of them",
            )
        pairs = [_parts(each, error is None) for each in flux]
        flux = [first for first, _ in pairs]
        error = [second for _, second in pairs] if error is None else error
    elif _is_container(flux):
        flux, own = _parts(flux, error is None)
        error = own if error is None else error
    if error is None:
        raise UsageError(
            "no errors",
            got="None",
            expected="1-sigma errors beside the flux, or flux that has its own uncertainty (NDData, Spectrum)",
        )
    return flux, error


def error_of(ivar: ArrayLike) -> NDArray[np.float64]:
    """Return 1-sigma errors, float64, of inverse variances of any shape; 0 (missing) if ivar is masked or not above 0.

    An infinite inverse variance is missing too. In float64, error -> ivar -> error gives back every float32 error; in
    float32 some would lose their last bit.
    """
    inverse = without_mask(ivar, np.float64)
    known = np.isfinite(inverse) & (inverse > 0)
    return np.where(known, np.sqrt(1.0 / np.where(known, inverse, 1.0)), 0.0)


def _is_container(values: Any) -> bool:
    return all(hasattr(values, name) for name in ("uncertainty", "mask", "unit", "data"))


def _parts(spectrum: SpectrumContainer, with_error: bool) -> tuple[Any, Any]:
    """Return flux and errors (None unless wanted) of one container."""
    _check_grid(spectrum)
    missing = False if spectrum.mask is None else np.asarray(spectrum.mask, bool)
    flux = np.where(missing, np.nan, without_mask(spectrum.data, np.float64))
    error = np.where(missing, np.nan, _error(spectrum)) if with_error else None
    if spectrum.unit is None:
        return flux, error
    return flux * spectrum.unit, None if error is None else error * _error_unit(spectrum)


def _error(spectrum: SpectrumContainer) -> NDArray[np.float64]:
    uncertainty = spectrum.uncertainty
    kind = getattr(uncertainty, "uncertainty_type", None)
    if kind not in _ERRORS:
        raise UsageError(
            "the spectrum has no errors that can be used",
            got="no uncertainty" if uncertainty is None else f"an uncertainty of type {kind!r}",
            expected=" | ".join(_ERRORS),
            remedy="give the 1-sigma errors as error=",
        )
    return _ERRORS[kind][0](without_mask(uncertainty.array, np.float64))


def _error_unit(spectrum: SpectrumContainer) -> Any:
    """Return the unit of the errors: the uncertainty has one of its own, or follows that of the flux."""
    unit = getattr(spectrum.uncertainty, "unit", None)
    return spectrum.unit if unit is None else unit ** _ERRORS[spectrum.uncertainty.uncertainty_type][1]


def _root(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.where(variance >= 0, variance, np.nan))


# By type of uncertainty: errors of its values, and the power of its unit that is a unit of errors.
_ERRORS: dict[str, tuple[Any, float]] = {
    "std": (np.asarray, 1),
    "var": (_root, 0.5),
    "ivar": (error_of, -0.5),
}


def _check_grid(spectrum: Any) -> None:
    """Raise UsageError if the container knows its wavelengths and they are not those of the grid."""
    axis = getattr(spectrum, "spectral_axis", None)
    if axis is None:
        return
    try:
        found = np.asarray(axis.to_value("Angstrom"), np.float64)
    # What astropy raises for axes in pixels or without a unit.
    except (AttributeError, ValueError, TypeError) as error:
        raise UsageError("the wavelengths of the spectrum are not known", got=str(error)) from error
    if found.shape != (PIXELS,) or np.abs(found / wavelength() - 1).max() > _GRID_TOLERANCE:
        ends = f"{found.min():.2f} to {found.max():.2f} Angstrom" if found.size else "none"
        raise UsageError(
            "the wavelengths are not those of apStar files",
            got=f"{found.size} pixels, {ends}",
            expected=f"{PIXELS} pixels, vacuum wavelengths 10^(4.179 + 6e-6 i) Angstrom, at rest",
            remedy="resample the spectrum to this grid",
        )
