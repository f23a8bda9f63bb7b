"""Recipes: one name for what exactly is computed.

The DR19 page, the code that made the released catalogue and the upstream package
disagree, so a run names its recipe and every product carries the name. A recipe knows
the error clean-up, floor, log, clip, statistics, flags and noise model; it does not know
how an engine computes them fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from apnet_fast import flags
from apnet_fast.errors import UsageError

# torch.quantile ranks in float32, which cannot hold every integer above 2**24; torch refuses such inputs.
_LARGEST_QUANTILE_INPUT = 2**24


@dataclass(frozen=True)
class Predictions:
    """What an engine returns for n spectra: network labels in physical units.

    clean: float32 or float64 (n, 3), of the spectrum as observed.
    draws: same dtype (n, draws, 3), of its noise realisations.
    Last axis in the network's order: logg [log10(cm/s^2)], log10 teff [K], fe_h [dex].
    """

    clean: NDArray
    draws: NDArray


@dataclass(frozen=True)
class Labels:
    """The label columns of the catalogue, arrays of length n (float32, int64 and bool)."""

    teff: NDArray[np.float32]
    e_teff: NDArray[np.float32]
    logg: NDArray[np.float32]
    e_logg: NDArray[np.float32]
    fe_h: NDArray[np.float32]
    e_fe_h: NDArray[np.float32]
    result_flags: NDArray[np.int64]
    flag_warn: NDArray[np.bool_]
    flag_bad: NDArray[np.bool_]
    raw_e_teff: NDArray[np.float32]
    raw_e_logg: NDArray[np.float32]
    raw_e_fe_h: NDArray[np.float32]


@dataclass(frozen=True)
class NoiseModel:
    """e = scale * raw_e + offset for (teff [K], logg [log10(cm/s^2)], fe_h [dex])."""

    scale: tuple[float, float, float]
    offset: tuple[float, float, float]

    def inflate(self, raw_errors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inflated errors (n, 3); evaluated in float64 on stored float32 values, as the database does."""
        return (raw_errors.astype(np.float64) * self.scale + self.offset).astype(np.float32)


PAGE_NOISE_MODEL = NoiseModel(scale=(1.25, 1.25, 1.0), offset=(10.0, 0.01, 0.01))


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
    """What a named recipe means. See the table in the README and docs of each field.

    clip: natural-log units above the 95th percentile at which log flux is clipped.
    percentile_over: "draw" (each draw has its own percentile) or "spectrum" (all draws of a spectrum share
        one; the clean spectrum always has its own).
    missing_errors: "median" caps errors at 5 x their median and gives missing ones that value;
        "zero" turns missing flux and errors to 0 and caps nothing.
    label: reported teff, logg, fe_h are the median of the draws, or the clean prediction.
    teff_error: raw_e_teff is the std of the draws' Teff in K, or Teff(clean) std(log10 Teff) ln 10.
    """

    name: str
    clip: float
    percentile_over: Literal["draw", "spectrum"]
    missing_errors: Literal["median", "zero"]
    label: Literal["median", "clean"]
    teff_error: Literal["kelvin", "dex"]
    noise_model: NoiseModel | None
    flag_table: flags.FlagTable
    floor: float = 1e-6
    quantile: float = 0.95
    default_draws: int = 20

    def check_draws(self, draws: int, pixels: int = 8575) -> None:
        """Raise UsageError for a number of draws that the recipe's statistics cannot use."""
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

        Definition: Astra 0.6.0 `ApogeeNet` and `reverse_inverse_error` ("median"); BOSSNet 2.0.0 ("zero").
        """
        if self.missing_errors == "zero":
            return (
                np.nan_to_num(flux, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32, copy=False),
                np.nan_to_num(error, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32, copy=False),
            )
        # Only NaN: an infinite flux stays infinite, as it does on Astra's way from float64 to float32.
        flux = np.where(np.isnan(flux), np.float32(0), flux)
        return flux, _cap_errors_at_five_medians(flux, error)

    def summarise(self, predictions: Predictions, has_result: NDArray[np.bool_]) -> Labels:
        """The label columns of n spectra.

        Parameters
        ----------
        predictions: of the spectra with a result, in their order (m of n).
        has_result: bool (n,); False rows get NaN labels and only the recipe's "no result" bit.
        """
        log_teff_draws = predictions.draws[..., 1].astype(np.float64)
        draws = np.stack([10.0**log_teff_draws, predictions.draws[..., 0], predictions.draws[..., 2]], axis=-1).astype(
            np.float64
        )
        clean = predictions.clean.astype(np.float64)
        clean = np.stack([10.0 ** clean[:, 1], clean[:, 0], clean[:, 2]], axis=-1)

        if draws.shape[1] == 0:
            medians = np.full_like(clean, np.nan)
            raw = np.full_like(clean, np.nan)
        else:
            medians = np.median(draws, axis=1)
            raw = np.std(draws, axis=1, ddof=1)
            if self.teff_error == "dex":
                raw[:, 0] = clean[:, 0] * np.std(log_teff_draws, axis=1, ddof=1) * log(10.0)
        return self._labels(
            _scatter(clean if self.label == "clean" else medians, has_result),
            _scatter(medians, has_result),
            _scatter(raw, has_result),
            ~has_result,
        )

    def _labels(
        self,
        values: NDArray[np.float32],
        medians: NDArray[np.float32],
        raw: NDArray[np.float32],
        no_result: NDArray[np.bool_],
    ) -> Labels:
        inflated = raw if self.noise_model is None else self.noise_model.inflate(raw)
        if self.flag_table is flags.PAGE:
            packed = flags.pack_page(values, medians, raw, no_result)
        elif self.flag_table is flags.ASTRA_06:
            packed = flags.pack_astra_06(values, no_result)
        else:
            packed = flags.pack_no_result(no_result)
        return Labels(
            teff=values[:, 0],
            e_teff=inflated[:, 0],
            logg=values[:, 1],
            e_logg=inflated[:, 1],
            fe_h=values[:, 2],
            e_fe_h=inflated[:, 2],
            result_flags=packed[0],
            flag_warn=packed[1],
            flag_bad=packed[2],
            raw_e_teff=raw[:, 0],
            raw_e_logg=raw[:, 1],
            raw_e_fe_h=raw[:, 2],
        )


def _scatter(values: NDArray, has_result: NDArray[np.bool_]) -> NDArray[np.float32]:
    out = np.full((len(has_result), values.shape[1]), np.nan, dtype=np.float32)
    out[has_result] = values
    return out


def _cap_errors_at_five_medians(flux: NDArray[np.float32], error: NDArray[np.float32]) -> NDArray[np.float32]:
    """Errors capped at 5 x the median of the known ones; missing errors get that value.

    Where no error is known, 0.1 x the median flux stands for all of them. Missing is what has no
    finite, non-zero inverse square; the sign of an error is lost, as it is in error -> ivar -> error.
    """
    magnitude = np.abs(error.astype(np.float64))
    known = np.isfinite(magnitude) & (magnitude > 0)
    capped = np.empty_like(error, dtype=np.float32)
    for i in range(len(error)):
        if known[i].any():
            limit = 5 * np.median(magnitude[i, known[i]])
            capped[i] = np.where(known[i], np.minimum(magnitude[i], limit), limit)
        else:
            fallback = 0.1 * float(np.median(flux[i]))
            capped[i] = min(fallback, 5 * fallback)
    return capped


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="dr19",
            clip=0.0,
            percentile_over="draw",
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
            percentile_over="draw",
            missing_errors="zero",
            label="clean",
            teff_error="dex",
            noise_model=None,
            flag_table=flags.NO_RESULT_ONLY,
        ),
    )
}


def get_recipe(name: str) -> Recipe:
    """The recipe of that name. UsageError for an unknown one."""
    if name not in RECIPES:
        raise UsageError("unknown recipe", got=repr(name), expected=" | ".join(RECIPES), remedy="--recipe dr19")
    return RECIPES[name]
