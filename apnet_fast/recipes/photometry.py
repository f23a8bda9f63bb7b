"""The photometry that ApogeeNet v2 reads beside the spectrum: order, what counts as missing, normalisation.

Constants: Astra 0.6.0 `apogeenet_v2` and the ApogeeNet2 package (identical). A missing value is
replaced by a placeholder far outside the data, which the network was trained on, before normalisation.

A spectrum that has no source record at all, whose photometry nobody could even look for, is something else: Astra then
gives the network the mean of every value. `NO_SOURCE` in the place of its seven values says so.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apnet_fast.support.errors import UsageError

PHOTOMETRY = ("parallax", "g_mag", "bp_mag", "rp_mag", "j_mag", "h_mag", "k_mag")
PHOTOMETRY_COLUMNS = ("plx", *PHOTOMETRY[1:])
"""The same, as catalogues and Astra's sources name them."""
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

# A row of photometry, all of it infinite: there is no source record. Under the rule "apogeenet-2", which knows no
# sources, it is missing photometry like any other.
NO_SOURCE = (np.inf,) * len(PHOTOMETRY)

# "astra": not finite, at least 98, or at most -1, a parallax of at most -1 mas included (and -999999, Astra's null).
# "apogeenet-2": not finite or at least 98.
MissingRule = Literal["astra", "apogeenet-2"]
_LEAST_SENTINEL = 98.0
_GREATEST_NEGATIVE = -1.0


def as_photometry(photometry: ArrayLike | None, n: int) -> NDArray[np.float32]:
    """Photometry of n spectra as float32 (n, 7) in the order of `PHOTOMETRY`; None is all NaN, nothing known.

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
    """Which values (n, 7) count as missing under a rule: bool (n, 7)."""
    missing: NDArray[np.bool_] = ~(np.isfinite(photometry) & (photometry < _LEAST_SENTINEL))
    return missing | (photometry <= _GREATEST_NEGATIVE) if rule == "astra" else missing


def normalised_photometry(photometry: NDArray[np.float32], rule: MissingRule) -> NDArray[np.float32]:
    """The network's input: float32 (n, 7), placeholders for missing values, (value - mean) / std in float64.

    Rows of `NO_SOURCE` are 0 under the rule "astra". The float32 nearest to a mean stands for that mean and is 0 too,
    where the difference would be its rounding error: the mean of a value is the same input whoever gives it.
    """
    values = np.where(missing_photometry(photometry, rule), PLACEHOLDERS, photometry)
    values = np.where(photometry == np.asarray(MEANS, np.float32), MEANS, values)
    if rule == "astra":
        values[np.isposinf(photometry).all(axis=1)] = MEANS
    return ((values - MEANS) / STDS).astype(np.float32)
