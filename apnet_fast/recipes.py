"""Recipes: one name for what exactly is computed.

The DR19 page, the code that made the released catalogue and the upstream packages
disagree, so a run names its recipe and every product carries the name. A recipe belongs to a network and knows
the error clean-up, floor, log, clip, statistics, flags and noise model; it does not know
how an engine computes them fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log
from numbers import Integral
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from apnet_fast import flags
from apnet_fast.cleanup import MissingErrors, clean_up
from apnet_fast.errors import UsageError
from apnet_fast.labels import Labels, NoiseModel, Predictions, label_names
from apnet_fast.networks.photometry import (
    PARALLAX,
    RP,
    H,
    K,
    MissingRule,
    as_photometry,
    missing_photometry,
    normalised_photometry,
)

__all__ = [
    "RECIPES",
    "RECIPES_OF",
    "Labels",
    "NoiseModel",
    "Predictions",
    "Rank",
    "Recipe",
    "get_recipe",
    "label_names",
    "percentile_rank",
]

# torch.quantile ranks in float32, which cannot hold every integer above 2**24; torch refuses such inputs.
_LARGEST_QUANTILE_INPUT = 2**24


PAGE_NOISE_MODEL = NoiseModel(scale=(1.25, 1.25, 1.0), offset=(10.0, 0.01, 0.01))
# Astra 0.5.0 and 0.6.0, `ApogeeNetV2`.
V2_NOISE_MODEL = NoiseModel(scale=(1.25, 1.5, 1.25), offset=(5.0, 0.01, 0.01))


@dataclass(frozen=True)
class Rank:
    """Where a percentile of n sorted values lies: value[lower] + fraction * (value[upper] - value[lower])."""

    lower: int
    upper: int
    fraction: np.float32


def percentile_rank(n: int, quantile: float = 0.95) -> Rank:
    """Rank of a quantile among n values by the arithmetic of `torch.quantile` (float32, linear).

    Raises UsageError above 2**24 values, where float32 ranks (and torch) give up.
    """
    if n > _LARGEST_QUANTILE_INPUT:
        raise UsageError(
            "too many values for one joint percentile",
            got=f"{n} (draws x pixels)",
            expected=f"at most {_LARGEST_QUANTILE_INPUT}",
            remedy="use fewer --draws, or a recipe with one percentile per draw",
        )
    position = np.float32(quantile) * np.float32(n - 1)
    lower = int(np.floor(position))
    return Rank(lower, int(np.ceil(position)), np.float32(position - np.float32(lower)))


@dataclass(frozen=True)
class Recipe:
    """What a named recipe means for one network. See the tables in docs/recipes.md.

    log_flux: whether the network sees ln(max(flux, floor)), clipped; if not, it sees the flux itself.
    clip: natural-log units above the 95th percentile at which log flux is clipped.
    percentile_over: "draw" (each draw has its own percentile) or "spectrum" (all draws of a spectrum share
        one; the clean spectrum always has its own).
    missing_errors: what becomes of missing flux, missing and large errors; a rule of `cleanup`.
    label: reported teff, logg, fe_h are the median or the mean of the draws, or the clean prediction.
    teff_error: raw_e_teff is the std of the draws' Teff in K, or Teff(clean) std(log10 Teff) ln 10.
    ddof: of every std. lower_median: the lower of the middle two (`torch.median`), not their mean.
    skip_nonfinite: whether outputs of the network that are not finite become NaN, and NaN is left out of median, mean
        and std of the draws.
    clean_first: whether the clean spectrum takes the place of the first draw.
    photometry: which rule says what is missing, for networks that use it.
    """

    name: str
    missing_errors: MissingErrors
    label: Literal["median", "mean", "clean"]
    teff_error: Literal["kelvin", "dex"]
    noise_model: NoiseModel | None
    flag_table: flags.FlagTable
    network: str = "v3"
    log_flux: bool = True
    clip: float = inf
    percentile_over: Literal["draw", "spectrum"] = "draw"
    floor: float = 1e-6
    quantile: float = 0.95
    ddof: int = 1
    lower_median: bool = False
    skip_nonfinite: bool = False
    clean_first: bool = False
    photometry: MissingRule | None = None
    default_draws: int = 20

    def check_draws(self, draws: int, pixels: int = 8575) -> None:
        """Raise UsageError for a number of draws that the recipe's statistics cannot use, or that is no integer."""
        if not isinstance(draws, Integral):
            raise UsageError("the number of noise draws is no integer", got=repr(draws), expected="an integer")
        if draws >= 2 or (draws == 0 and self.label == "clean"):
            if self.percentile_over == "spectrum" and draws:
                percentile_rank(draws * pixels)
            return
        raise UsageError(
            f"too few noise draws for recipe {self.name}",
            got=draws,
            expected="at least 2 (a standard deviation needs two)"
            + (", or 0 for no errors at all" if self.label == "clean" else ""),
            remedy=f"--draws {self.default_draws}",
        )

    def clean_up(
        self, flux: NDArray[np.float32], error: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Flux and error as they enter the noise draws.

        Parameters
        ----------
        flux, error: float32 (n, pixels), as read: missing pixels may be NaN, 0, infinite or 1e10.

        Returns
        -------
        float32 (n, pixels) each, new arrays, without NaN.

        Definition: `cleanup`, under the recipe's rule.
        """
        return clean_up(flux, error, self.missing_errors)

    def summarise(
        self, predictions: Predictions, has_result: NDArray[np.bool_], photometry: NDArray[np.float32] | None = None
    ) -> Labels:
        """The label columns of n spectra.

        Parameters
        ----------
        predictions: of the spectra with a result, in their order (m of n).
        has_result: bool (n,); False rows get NaN labels and only the recipe's "no result" bit.
        photometry: float32 (n, 7) as `Engine.predict` takes it, for the flags; of all n spectra.
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
        )

    def incomplete_photometry(self, photometry: NDArray[np.float32] | None, n: int) -> NDArray[np.bool_]:
        """Which of n spectra lack a value of their photometry: bool (n,); none where the network uses none."""
        if self.photometry is None:
            return np.zeros(n, dtype=bool)
        return np.asarray(missing_photometry(as_photometry(photometry, n), self.photometry).any(axis=1))

    def _photometry_bits(self, photometry: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Of n spectra, which lack photometry, and which it says are knowingly unreliable."""
        if self.photometry is None:
            none = np.zeros(len(photometry), dtype=bool)
            return none, none
        missing = missing_photometry(photometry, self.photometry)
        if self.flag_table.normalised_photometry:
            # Its code looks at the network's normalised input; faithful to it, so do we.
            values = normalised_photometry(photometry, self.photometry)
        else:
            values = np.where(missing, np.float32(np.nan), photometry)
        unreliable = flags.knowingly_unreliable_photometry(
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
    ) -> Labels:
        inflated = raw if self.noise_model is None else self.noise_model.inflate(raw)
        packed = flags.pack(self.flag_table, values, medians, raw, no_result, *self._photometry_bits(photometry))
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
    """Median, mean and std, each (n, 3), over the draws (n, draws, 3); NaN without draws."""
    if draws.shape[1] == 0:
        nothing = np.full((len(draws), 3), np.nan)
        return nothing, nothing, nothing.copy()
    median: NDArray
    # The difference of infinite labels is no number, and so is their std.
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


# Of each network, the default recipe first.
RECIPES_OF: dict[str, dict[str, Recipe]] = {
    network: {recipe.name: recipe for recipe in recipes}
    for network, recipes in {
        "v3": (
            Recipe(
                name="dr19",
                clip=0.0,
                missing_errors="median",
                label="median",
                teff_error="kelvin",
                noise_model=PAGE_NOISE_MODEL,
                flag_table=flags.PAGE,
            ),
            Recipe(
                name="astra-0.6",
                clip=1.0,
                percentile_over="spectrum",
                missing_errors="median",
                label="clean",
                teff_error="dex",
                noise_model=PAGE_NOISE_MODEL,
                flag_table=flags.ASTRA_06,
            ),
            Recipe(
                name="bossnet-2",
                clip=1.0,
                missing_errors="zero",
                label="clean",
                teff_error="dex",
                noise_model=None,
                flag_table=flags.NO_RESULT_ONLY,
            ),
        ),
        "v2": (
            Recipe(
                name="astra-0.6",
                network="v2",
                log_flux=False,
                missing_errors="median-of-all",
                label="clean",
                teff_error="kelvin",
                noise_model=V2_NOISE_MODEL,
                flag_table=flags.ASTRA_06_V2,
                ddof=0,
                skip_nonfinite=True,
                photometry="astra",
                default_draws=100,
            ),
            Recipe(
                name="dr19",
                network="v2",
                log_flux=False,
                missing_errors="median-of-all",
                label="median",
                teff_error="kelvin",
                noise_model=V2_NOISE_MODEL,
                flag_table=flags.PAGE,
                photometry="astra",
                default_draws=100,
            ),
            Recipe(
                name="apogeenet-2",
                network="v2",
                log_flux=False,
                missing_errors="flux",
                label="clean",
                teff_error="dex",
                noise_model=None,
                flag_table=flags.NO_RESULT_ONLY,
                lower_median=True,
                photometry="apogeenet-2",
                default_draws=100,
            ),
        ),
        "v1": (
            Recipe(
                name="astra-2020",
                network="v1",
                log_flux=False,
                missing_errors="flux-and-median",
                label="mean",
                teff_error="kelvin",
                noise_model=None,
                flag_table=flags.NO_RESULT_ONLY,
                clean_first=True,
                default_draws=100,
            ),
        ),
    }.items()
}
RECIPES = RECIPES_OF["v3"]


def get_recipe(name: str | None, network: str = "v3") -> Recipe:
    """The recipe of that name for a network; None is the network's default. UsageError for an unknown one."""
    recipes = RECIPES_OF[network]
    if name is None:
        return next(iter(recipes.values()))
    if name not in recipes:
        known = any(name in others for others in RECIPES_OF.values())
        raise UsageError(
            f"recipe not defined for ApogeeNet {network}" if known else "unknown recipe",
            got=repr(name),
            expected=" | ".join(recipes),
            remedy=f"--recipe {next(iter(recipes))}, or weights of the network that the recipe is for",
        )
    return recipes[name]
