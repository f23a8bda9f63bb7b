"""Prepare the photometry that ApogeeNet v2 reads beside the spectrum: order, missing values, normalisation.

The constants are those of Astra 0.6.0's `apogeenet_v2` and of the ApogeeNet2 package (identical). Before normalisation
a missing value is replaced by a placeholder far outside the data, on which the network was trained.

A spectrum without any source record is a different case, because nobody could even look for its photometry: Astra then
gives the network the mean of every value. `NO_SOURCE` in place of the seven values marks this case.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apnet_fast.support.errors import UsageError

PHOTOMETRY = ("parallax", "g_mag", "bp_mag", "rp_mag", "j_mag", "h_mag", "k_mag")
PHOTOMETRY_COLUMNS = ("plx", *PHOTOMETRY[1:])
"""The same quantities, as catalogues and Astra's sources name them."""
PARALLAX, RP, H, K = (PHOTOMETRY.index(name) for name in ("parallax", "rp_mag", "h_mag", "k_mag"))

MEANS = (
    -0.6959113178296891,
    13.630030428758845,
    14.5224418320574,
    12.832448427460813,
    11.537019017423619,
    10.858717523536697,
    10.702106344460235,
)
STDS = (
    14.572430555504504,
    2.2762944923233883,
    2.8342029214199704,
    2.136884367623457,
    1.6793628207779732,
    1.4888102872755238,
    1.5848713221149886,
)
PLACEHOLDERS = (-84.82700, 21.40844, 24.53892, 20.26276, 18.43900, 24.00000, 17.02500)

# A row of photometry that is all infinite: there is no source record. The rule "apogeenet-2" knows no sources and
# treats it as missing photometry.
NO_SOURCE = (np.inf,) * len(PHOTOMETRY)

# What counts as missing. "astra": not finite, at least 98, or at most -1; this includes parallaxes of at most -1 mas,
# and -999999, Astra's null. "apogeenet-2": not finite or at least 98.
MissingRule = Literal["astra", "apogeenet-2"]
_LEAST_SENTINEL = 98.0
_GREATEST_NEGATIVE: dict[MissingRule, float] = {"astra": -1.0, "apogeenet-2": -np.inf}


def as_photometry(photometry: ArrayLike | None, n: int) -> NDArray[np.float32]:
    """Return the photometry of n spectra as float32 (n, 7) in the order of `PHOTOMETRY`; None gives NaN, unknown.

    Raises UsageError for another shape.
    """
    if photometry is None:
        return np.full((n, len(PHOTOMETRY)), np.nan, dtype=np.float32)
    values = np.asarray(photometry, dtype=np.float32)
    if values.shape != (n, len(PHOTOMETRY)):
        raise UsageError(
            "the photometry does not fit the spectra",
            got=str(values.shape),
            expected=f"({n}, {len(PHOTOMETRY)}): {', '.join(PHOTOMETRY)} [mas, mag], NaN where unknown",
        )
    return values


def missing_photometry(photometry: NDArray[np.float32], rule: MissingRule) -> NDArray[np.bool_]:
    """Tell which values (n, 7) count as missing under a rule: bool (n, 7). Raises UsageError for an unknown rule."""
    if rule not in _GREATEST_NEGATIVE:
        raise UsageError("unknown rule for missing photometry", got=repr(rule), expected=" | ".join(_GREATEST_NEGATIVE))
    known = np.isfinite(photometry) & (photometry < _LEAST_SENTINEL) & (photometry > _GREATEST_NEGATIVE[rule])
    return np.asarray(~known)


def normalised_photometry(photometry: NDArray[np.float32], rule: MissingRule) -> NDArray[np.float32]:
    """Return the network's input, float32 (n, 7): (value - mean) / std in float64, placeholders for missing values.

    Rows of `NO_SOURCE` are 0 under the rule "astra". The float32 nearest to a mean stands for that mean and gives 0,
    not its rounding error, so that the mean of a value is the same input whoever gives it.
    """
    values = np.where(missing_photometry(photometry, rule), PLACEHOLDERS, photometry)
    values = np.where(photometry == np.asarray(MEANS, np.float32), MEANS, values)
    if rule == "astra":
        values[np.isposinf(photometry).all(axis=1)] = MEANS
    return ((values - MEANS) / STDS).astype(np.float32)
