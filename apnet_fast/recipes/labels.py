"""Define what passes between engines, recipes and catalogues: a network's predictions, and label columns."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from apnet_fast.recipes.versions import network_version


@dataclass(frozen=True)
class Predictions:
    """Hold what an engine returns for n spectra: network labels in physical units.

    clean: float32 or float64 (n, 3), labels of the spectrum as observed.
    draws: same dtype (n, draws, 3), labels of its noise realisations.
    names: names of the last axis, in the network's order: logg [log10(cm/s^2)], log_teff (log10 of K) or teff [K],
        fe_h [dex].
    """

    clean: NDArray
    draws: NDArray
    names: tuple[str, ...]

    def finite(self) -> Predictions:
        """Return these predictions with NaN for every value that is not finite."""
        nan = self.clean.dtype.type(np.nan)
        clean, draws = (np.where(np.isfinite(values), values, nan) for values in (self.clean, self.draws))
        return replace(self, clean=clean, draws=draws)

    def log_teff_draws(self) -> NDArray[np.float64]:
        """Return log10 teff of the draws, (n, draws); NaN if a network gave a negative teff."""
        values = self.draws[..., 1].astype(np.float64)
        if "log_teff" in self.names:
            return values
        return np.log10(np.where(values > 0, values, np.nan))

    def in_kelvin(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return clean (n, 3) and draws (n, draws, 3) as teff [K], logg, fe_h."""
        return self._in_kelvin(self.clean), self._in_kelvin(self.draws)

    def _in_kelvin(self, labels: NDArray) -> NDArray[np.float64]:
        values = labels.astype(np.float64)
        teff = values[..., 1]
        if "log_teff" in self.names:
            # Photometry far outside the training data can drive a network's labels anywhere.
            with np.errstate(over="ignore"):
                teff = 10.0**teff
        return np.stack([teff, values[..., 0], values[..., 2]], axis=-1)


LABELS = ("teff", "logg", "fe_h")
"""The stellar labels, in the order of every (n, 3) array of the package except a network's own output."""

MEDIANS = ("teff_sample_median", "logg_sample_median", "fe_h_sample_median")


@dataclass(frozen=True)
class Labels:
    """Hold the catalogue's label columns, arrays of length n (float32, int64 and bool), in the products' order.

    Only some products have the medians of the draws; see `label_names`.
    """

    teff: NDArray[np.float32]
    e_teff: NDArray[np.float32]
    logg: NDArray[np.float32]
    e_logg: NDArray[np.float32]
    fe_h: NDArray[np.float32]
    e_fe_h: NDArray[np.float32]
    teff_sample_median: NDArray[np.float32]
    logg_sample_median: NDArray[np.float32]
    fe_h_sample_median: NDArray[np.float32]
    result_flags: NDArray[np.int64]
    flag_warn: NDArray[np.bool_]
    flag_bad: NDArray[np.bool_]
    raw_e_teff: NDArray[np.float32]
    raw_e_logg: NDArray[np.float32]
    raw_e_fe_h: NDArray[np.float32]


def label_names(network: str, medians: bool = False) -> tuple[str, ...]:
    """Return the names of the label columns in a network's products, in their order.

    medians: whether the medians of the draws are wanted; v2's products always have them.
    """
    names = (field.name for field in fields(Labels))
    medians = medians or network_version(network).medians
    return tuple(name for name in names if medians or name not in MEDIANS)


@dataclass(frozen=True)
class NoiseModel:
    """Inflate raw errors: e = scale * raw_e + offset for (teff [K], logg [log10(cm/s^2)], fe_h [dex])."""

    scale: tuple[float, float, float]
    offset: tuple[float, float, float]

    def inflate(self, raw_errors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return inflated errors (n, 3), computed in float64 from stored float32 values, as the database does."""
        return (raw_errors.astype(np.float64) * self.scale + self.offset).astype(np.float32)
