"""Clean flux and errors before the noise draws, as each code treats missing pixels and huge errors.

Every function takes flux and error as read, float32 (n, pixels), and returns new float32 arrays. apStar files code a
missing error as 0, NaN, infinity or 1e10. Astra carries errors as inverse variances, in which 0 stands for all of
these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from apnet_fast.support.errors import UsageError

MissingErrors = Literal["median", "zero", "median-of-all", "flux", "flux-and-median"]
Spectra = tuple[NDArray[np.float32], NDArray[np.float32]]

# The error of a bad pixel in older apStar files.
_LARGE_ERROR = np.float32(1e10)
_FIVE = np.float32(5)


def clean_up(flux: NDArray[np.float32], error: NDArray[np.float32], rule: MissingErrors) -> Spectra:
    """Return flux and error of n spectra under a rule; the functions below define the rules.

    Raises UsageError for an unknown rule.
    """
    if rule not in _RULES:
        raise UsageError("unknown rule for missing errors", got=repr(rule), expected=" | ".join(_RULES))
    return _RULES[rule](flux, error)


def median_of_known(flux: NDArray[np.float32], error: NDArray[np.float32]) -> Spectra:
    """Cap errors at 5 x the median of the known ones, as Astra 0.6.0 does (`ApogeeNet` v3, `reverse_inverse_error`).

    Missing errors get that value. If no error is known, 0.1 x the median flux stands for all of them. An error is
    missing if it has no finite, non-zero inverse square. The sign of an error is lost, as in error -> ivar -> error.
    """
    flux = _without_nan(flux)
    magnitude, known = _known(error)
    capped = np.empty_like(error, dtype=np.float32)
    for i in range(len(error)):
        if known[i].any():
            limit = 5 * np.median(magnitude[i, known[i]])
            capped[i] = np.where(known[i], np.minimum(magnitude[i], limit), limit)
        else:
            fallback = 0.1 * float(np.median(flux[i]))
            capped[i] = min(fallback, 5 * fallback)
    return flux, capped


def zero(flux: NDArray[np.float32], error: NDArray[np.float32]) -> Spectra:
    """Set NaN and infinite flux and errors to 0 and cap nothing, as BOSSNet 2.0.0 does."""
    return (
        np.nan_to_num(flux, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32, copy=False),
        np.nan_to_num(error, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32, copy=False),
    )


def median_of_all(flux: NDArray[np.float32], error: NDArray[np.float32]) -> Spectra:
    """Set errors of 1e10, or of 5 x the median and more, to 5 x the median, as Astra 0.6.0's `apogeenet_v2` does.

    The median is over all pixels and counts missing errors as infinite. If half of a spectrum's errors are missing,
    the limit is infinite too, and the draws have no labels.
    """
    magnitude, known = _known(error)
    sigma = np.where(known, magnitude, np.inf).astype(np.float32)
    limit = _FIVE * np.median(sigma, axis=1, keepdims=True)
    return _without_nan(flux), np.where((sigma == _LARGE_ERROR) | (sigma >= limit), limit, sigma)


def flux_for_large(flux: NDArray[np.float32], error: NDArray[np.float32]) -> Spectra:
    """Set errors of 1e10 to the pixel's flux, then cap errors at 5 x the median, as the ApogeeNet2 package does.

    The median is taken before that, over all pixels; it is the lower of the middle two (`torch.median`). NaN becomes
    0, so that a pixel with a missing error gets no noise.
    """
    flux, error = _without_nan(flux), _without_nan(error)
    return flux, _flux_then_cap(flux, error)


def flux_and_median(flux: NDArray[np.float32], error: NDArray[np.float32]) -> Spectra:
    """Give pixels with missing flux or error the median flux and an error of 1e10, as Astra's v1 of 2020 does.

    Then continue as `flux_for_large`. Astra had errors from inverse variances, so an error of 0 is missing too.
    """
    magnitude, known = _known(error)
    finite = np.isfinite(flux)
    # A spectrum without finite flux has no median; it has no result either.
    some = np.where(finite.any(axis=1, keepdims=True), np.where(finite, flux, np.nan), 0)
    median = np.nanmedian(some, axis=1, keepdims=True).astype(np.float32)
    bad = ~finite | ~known
    filled = np.where(bad, median, flux)
    return filled, _flux_then_cap(filled, np.where(bad, _LARGE_ERROR, magnitude.astype(np.float32)))


def _flux_then_cap(flux: NDArray[np.float32], error: NDArray[np.float32]) -> NDArray[np.float32]:
    middle = (error.shape[1] - 1) // 2
    limit = _FIVE * np.partition(error, middle, axis=1)[:, middle, None]
    sigma = np.where(error == _LARGE_ERROR, flux, error)
    return np.where(sigma < limit, sigma, limit)


def _known(error: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return absolute errors in float64, and which of them have a finite, non-zero inverse square."""
    magnitude = np.abs(error.astype(np.float64))
    return magnitude, np.isfinite(magnitude) & (magnitude > 0)


def _without_nan(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Set NaN to 0 and keep the rest: an infinite flux stays infinite, as when Astra converts float64 to float32."""
    return np.where(np.isnan(values), np.float32(0), values)


_RULES: dict[MissingErrors, Callable[[NDArray[np.float32], NDArray[np.float32]], Spectra]] = {
    "median": median_of_known,
    "zero": zero,
    "median-of-all": median_of_all,
    "flux": flux_for_large,
    "flux-and-median": flux_and_median,
}
