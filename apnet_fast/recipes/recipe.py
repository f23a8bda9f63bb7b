"""Define a recipe: one name for what exactly is computed.

The DR19 page, the code that made the released catalogue and the upstream packages disagree, so a run names its recipe
and every product carries the name. A recipe belongs to a network. It knows the error clean-up, floor, log, clip,
statistics, flags and noise model; it does not know how an engine computes them fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log
from numbers import Integral
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from apnet_fast.recipes import flag_packers
from apnet_fast.recipes.cleanup import MissingErrors, clean_up
from apnet_fast.recipes.flag_tables import FlagTable
from apnet_fast.recipes.labels import Labels, NoiseModel, Predictions, label_names
from apnet_fast.recipes.photometry import (
    PARALLAX,
    RP,
    H,
    K,
    MissingRule,
    as_photometry,
    missing_photometry,
    normalised_photometry,
)
from apnet_fast.recipes.rank import percentile_rank
from apnet_fast.recipes.versions import network_version
from apnet_fast.support.errors import UsageError
from apnet_fast.support.grid import PIXELS

Label = Literal["median", "mean", "clean"]
TeffError = Literal["kelvin", "dex"]
PercentileOver = Literal["draw", "spectrum"]

# The words that each field of a recipe may hold.
_WORDS: dict[str, tuple[object, ...]] = {
    "missing_errors": get_args(MissingErrors),
    "label": get_args(Label),
    "teff_error": get_args(TeffError),
    "percentile_over": get_args(PercentileOver),
    "photometry": (None, *get_args(MissingRule)),
}


@dataclass(frozen=True)
class Recipe:
    """Define what a named recipe means for one network; docs/recipes.md has the tables.

    log_flux: whether the network sees ln(max(flux, floor)), clipped; if not, it sees the flux itself.
    clip: natural-log units above the 95th percentile at which log flux is clipped.
    percentile_over: "draw" (each draw has its own percentile) or "spectrum" (all draws of a spectrum share
        one; the clean spectrum always has its own).
    missing_errors: the rule of `cleanup` for missing flux and for missing and large errors.
    label: teff, logg and fe_h are the median or the mean of the draws, or the clean prediction.
    teff_error: raw_e_teff is the std of the draws' Teff in K ("kelvin"), or Teff(clean) std(log10 Teff) ln 10 ("dex").
    ddof: degrees of freedom taken off in every std.
    lower_median: whether the median is the lower of the middle two (`torch.median`), not their mean.
    skip_nonfinite: whether network outputs that are not finite become NaN, and median, mean and std of the draws
        leave NaN out.
    clean_first: whether the clean spectrum takes the place of the first draw.
    photometry: the rule for missing photometry, for networks that use it.
    add_medians: whether the products hold the medians of the draws although the network's usually do not.

    Raises UsageError for a word that no rule has, so that no misspelt rule silently becomes another one.
    """

    name: str
    network: str
    missing_errors: MissingErrors
    label: Label
    teff_error: TeffError
    noise_model: NoiseModel | None
    flag_table: FlagTable
    log_flux: bool = True
    clip: float = inf
    percentile_over: PercentileOver = "draw"
    floor: float = 1e-6
    quantile: float = 0.95
    ddof: int = 1
    lower_median: bool = False
    skip_nonfinite: bool = False
    clean_first: bool = False
    photometry: MissingRule | None = None
    add_medians: bool = False

    def __post_init__(self) -> None:
        for field, words in _WORDS.items():
            if getattr(self, field) not in words:
                raise UsageError(
                    f"recipe {self.name} has an unknown {field}",
                    got=repr(getattr(self, field)),
                    expected=" | ".join(map(str, words)),
                )

    @property
    def medians(self) -> bool:
        """Return whether the products hold the medians of the draws beside the labels."""
        return self.add_medians or network_version(self.network).medians

    @property
    def label_names(self) -> tuple[str, ...]:
        """Return the names of the label columns, in their order."""
        return label_names(self.network, self.medians)

    @property
    def default_draws(self) -> int:
        """Return the number of noise realisations per spectrum that is used unless the user gives one."""
        return network_version(self.network).default_draws

    def check_draws(self, draws: int, pixels: int = PIXELS) -> None:
        """Raise UsageError for a number of draws that is not an integer or that the recipe's statistics cannot use."""
        own = self.default_draws
        remedy = f"draws={own} in Python, --draws {own} on the command line: the recipe's own number"
        if not isinstance(draws, Integral):
            raise UsageError(
                "the number of noise draws is not an integer", got=repr(draws), expected="an integer", remedy=remedy
            )
        if draws >= 2 or (draws == 0 and self.label == "clean"):
            if self.percentile_over == "spectrum" and draws:
                percentile_rank(draws * pixels)
            return
        raise UsageError(
            f"too few noise draws for recipe {self.name}",
            got=draws,
            expected="at least 2 (a standard deviation needs two)"
            + (", or 0 for no errors at all" if self.label == "clean" else ""),
            remedy=remedy,
        )

    def clean_up(
        self, flux: NDArray[np.float32], error: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return flux and error as they enter the noise draws.

        Parameters
        ----------
        flux, error: float32 (n, pixels), as read: missing pixels may be NaN, 0, infinite or 1e10.

        Returns
        -------
        float32 (n, pixels) each, new arrays, without NaN.

        The recipe's rule in `cleanup` is the definition.
        """
        return clean_up(flux, error, self.missing_errors)

    def summarise(
        self,
        predictions: Predictions,
        has_result: NDArray[np.bool_],
        photometry: NDArray[np.float32] | None = None,
        unreliable: NDArray[np.bool_] | None = None,
    ) -> Labels:
        """Return the label columns of n spectra.

        Parameters
        ----------
        predictions: predictions for the m of n spectra that have a result, in their order.
        has_result: bool (n,); False rows get NaN labels and only the recipe's "no result" bit.
        photometry: float32 (n, 7) of all n spectra, as `Engine.predict` takes it; used for the flags.
        unreliable: bool (n,), spectra whose labels are known to mean nothing, such as real ones under weights for
            simulated spectra. They get flag_bad, and RESULT_UNRELIABLE in flag tables that have this bit. None is none.
        """
        if self.skip_nonfinite:
            predictions = predictions.finite()
        clean, draws = predictions.in_kelvin()
        if self.clean_first and draws.shape[1]:
            draws[:, 0] = clean
        medians, means, raw = _statistics(draws, self)
        if self.teff_error == "dex" and draws.shape[1]:
            with np.errstate(invalid="ignore"):
                raw[:, 0] = clean[:, 0] * np.std(predictions.log_teff_draws(), axis=1, ddof=self.ddof) * log(10.0)
        reported = {"clean": clean, "median": medians, "mean": means}[self.label]
        return self._labels(
            _scatter(reported, has_result),
            _scatter(medians, has_result),
            _scatter(raw, has_result),
            ~has_result,
            as_photometry(photometry, len(has_result)),
            np.zeros(len(has_result), dtype=bool) if unreliable is None else unreliable,
        )

    def incomplete_photometry(self, photometry: NDArray[np.float32] | None, n: int) -> NDArray[np.bool_]:
        """Tell which of n spectra lack a photometric value: bool (n,); all False if the network uses no photometry."""
        if self.photometry is None:
            return np.zeros(n, dtype=bool)
        return np.asarray(missing_photometry(as_photometry(photometry, n), self.photometry).any(axis=1))

    def _photometry_bits(self, photometry: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Tell which spectra lack photometry, and which are knowingly unreliable by their photometry."""
        if self.photometry is None:
            none = np.zeros(len(photometry), dtype=bool)
            return none, none
        missing = missing_photometry(photometry, self.photometry)
        if self.flag_table.normalised_photometry:
            # The code behind this table looks at the network's normalised input, and so must we.
            values = normalised_photometry(photometry, self.photometry)
        else:
            values = np.where(missing, np.float32(np.nan), photometry)
        unreliable = flag_packers.knowingly_unreliable_photometry(
            values[:, RP], values[:, H], values[:, K], values[:, PARALLAX]
        )
        return self.incomplete_photometry(photometry, len(photometry)), unreliable

    def _labels(
        self,
        values: NDArray[np.float32],
        medians: NDArray[np.float32],
        raw: NDArray[np.float32],
        no_result: NDArray[np.bool_],
        photometry: NDArray[np.float32],
        unreliable: NDArray[np.bool_],
    ) -> Labels:
        inflated = raw if self.noise_model is None else self.noise_model.inflate(raw)
        missing, unreliable_by_photometry = self._photometry_bits(photometry)
        packed = flag_packers.pack(self.flag_table, values, medians, raw, no_result, missing, unreliable_by_photometry)
        packed = flag_packers.mark_worthless(self.flag_table, packed, unreliable & ~no_result)
        return Labels(
            teff=values[:, 0],
            e_teff=inflated[:, 0],
            logg=values[:, 1],
            e_logg=inflated[:, 1],
            fe_h=values[:, 2],
            e_fe_h=inflated[:, 2],
            teff_sample_median=medians[:, 0],
            logg_sample_median=medians[:, 1],
            fe_h_sample_median=medians[:, 2],
            result_flags=packed[0],
            flag_warn=packed[1],
            flag_bad=packed[2],
            raw_e_teff=raw[:, 0],
            raw_e_logg=raw[:, 1],
            raw_e_fe_h=raw[:, 2],
        )


def _statistics(draws: NDArray[np.float64], recipe: Recipe) -> tuple[NDArray, NDArray, NDArray]:
    """Return median, mean and std, each (n, 3), over the draws (n, draws, 3); NaN without draws."""
    if draws.shape[1] == 0:
        nothing = np.full((len(draws), 3), np.nan)
        return nothing, nothing, nothing.copy()
    median: NDArray
    # The difference of infinite labels is NaN, and so is their std.
    with np.errstate(invalid="ignore", over="ignore"):
        if recipe.skip_nonfinite:
            none = np.asarray(np.isnan(draws).all(axis=1))
            some = np.where(none[:, None], 0, draws)
            found = np.nanmedian(some, axis=1), np.nanmean(some, axis=1), np.nanstd(some, axis=1, ddof=recipe.ddof)
            median, mean, std = (np.where(none, np.nan, values) for values in found)
        else:
            median, mean, std = np.median(draws, axis=1), draws.mean(axis=1), draws.std(axis=1, ddof=recipe.ddof)
    if recipe.lower_median:
        middle = (draws.shape[1] - 1) // 2
        median = np.where(np.isnan(median), np.nan, np.partition(draws, middle, axis=1)[:, middle])
    return median, mean, std


def _scatter(values: NDArray, has_result: NDArray[np.bool_]) -> NDArray[np.float32]:
    out = np.full((len(has_result), values.shape[1]), np.nan, dtype=np.float32)
    with np.errstate(over="ignore"):
        out[has_result] = values
    return out
