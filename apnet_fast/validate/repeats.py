"""Test the errors of a catalogue on repeated visits."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apnet_fast.recipes.labels import LABELS
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import without_nan
from apnet_fast.validate.noise_fit import Differences, Fit, fit_noise_model, fit_scale, standard_error, z_histogram
from apnet_fast.validate.pairs import Repeats, Selection, read_repeats
from apnet_fast.validate.text import aligned

UNITS = {"teff": "K", "logg": "dex", "fe_h": "dex"}
Z_WIDTH, Z_BINS = 0.1, 60  # the histograms have bins of 0.1 in |z|, up to 6
# Percentiles of the formal errors at which the published and the fitted model are compared.
_COMPARED_AT = (16.0, 50.0, 84.0)
# With fewer stars, or if a fit loses this share of its replicates, the bootstrap error is unreliable.
FEWEST_STARS = 30
_MOST_SINGULAR = 0.05
# Standard errors that a verdict needs. Nine ratios are tested, and correct errors should fail at most one catalogue in
# twenty: a two-sided probability of 0.05 / 9 is 2.8 standard errors.
_SIGNIFICANT = 3.0
# Variance of the robust scatter relative to that of the root mean square, for normal z (`noise_fit`).
_ROBUST_VARIANCE = 1.13


@dataclass(frozen=True)
class Estimate:
    """A value and its standard error, from a bootstrap over stars."""

    value: float
    error: float

    def text(self, digits: int) -> str:
        """Return the value and its error as printed."""
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f}"


@dataclass(frozen=True)
class ZScores:
    """z-scores of all pairs, with either raw or inflated errors.

    scatter: robust scatter of z; it is 1 for correct errors, else the factor by which the errors are too small.
    beyond_3: share of pairs with |z| > 3 (0.0027 for normal errors). density: density of |z| per unit of |z|, in bins
    of 0.1 from 0 to 6; pairs beyond 6 are in no bin.
    """

    scatter: Estimate
    beyond_3: float
    density: tuple[float, ...]


@dataclass(frozen=True)
class ErrorComparison:
    """Ratio of fitted to published error at one percentile of the formal errors of the repeated spectra.

    margin: deviations of ln(ratio) up to this count as chance: three standard errors, widened as in Student's t.
    """

    percentile: float
    raw_error: float
    ratio: Estimate
    margin: float

    def off_by_more_than(self, factor: float) -> bool:
        """Return whether the ratio lies outside 1 / factor .. factor by more than the margin."""
        distance = abs(math.log(self.ratio.value)) if self.ratio.value > 0 else math.inf
        return distance - self.margin > math.log(factor)


@dataclass(frozen=True)
class LabelResult:
    """Result for one label: z-scores with raw and inflated errors, and the fitted and the published noise model.

    published: (scale, offset) of the catalogue itself, derived from its e_ and raw_e_ columns. scale, offset and
    correlation are NaN if formal errors are too similar, or stars too few, to separate scale from offset. judged:
    whether there are enough stars for a verdict.
    """

    label: str
    unit: str
    pairs: int
    raw: ZScores
    inflated: ZScores
    published: tuple[float, float]
    scale: Estimate
    offset: Estimate
    correlation: float
    comparisons: tuple[ErrorComparison, ...]
    judged: bool


@dataclass(frozen=True)
class RepeatsReport:
    """Result of `validate repeats`: counts, and one result per label.

    rows: rows of the file. selected: those that pass the selection. spectra: selected spectra of stars with two or more
    of them. stars: the number of such stars. copies: rows left out because a selected row has the same identity.
    """

    catalogue: str
    star_column: str
    rows: int
    selected: int
    copies: int
    spectra: int
    stars: int
    most_visits: int
    labels: tuple[LabelResult, ...]

    def off_by_more_than(self, factor: float) -> list[str]:
        """Return the judged labels whose published errors are off by more than the factor, beyond chance."""
        return [
            result.label
            for result in self.labels
            if result.judged and any(one.off_by_more_than(factor) for one in result.comparisons)
        ]

    @property
    def not_judged(self) -> list[str]:
        """Labels with too few stars for a verdict on their errors."""
        return [result.label for result in self.labels if not result.judged]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN becomes null."""
        return without_nan(asdict(self))

    def text(self) -> str:
        """Return the tables as printed."""
        head = (
            f"{self.catalogue}: {self.rows} rows, {self.selected} selected, {self.spectra} of them repeats of"
            f" {self.stars} stars (by {self.star_column}; at most {self.most_visits} visits each)"
        )
        if self.copies:
            head += f"; {self.copies} rows left out: copies of selected spectra, by identity"
        z_rows = [("label", "pairs", "z scatter, raw errors", "z scatter, inflated", "|z| > 3, inflated")]
        fits = [("label", "published", "scale", "offset", "correlation", "fitted / published error at raw error")]
        for result in self.labels:
            scale, offset = result.published
            digits = 1 if result.unit == "K" else 4
            z_rows.append(
                (
                    result.label,
                    str(result.pairs),
                    result.raw.scatter.text(3),
                    result.inflated.scatter.text(3),
                    f"{100 * result.inflated.beyond_3:.2f} %",
                )
            )
            fits.append(
                (
                    result.label,
                    f"{scale:.3g} raw + {offset:.3g} {result.unit}",
                    result.scale.text(3),
                    f"{result.offset.text(digits)} {result.unit}",
                    f"{result.correlation:+.2f}",
                    ", ".join(f"{one.ratio.text(2)} at {one.raw_error:.3g}" for one in result.comparisons),
                )
            )
        lines = [head, "", *aligned(z_rows), "", *aligned(fits)]
        if self.not_judged:
            lines += ["", f"too few stars to judge {', '.join(self.not_judged)}"]
        return "\n".join(lines)


def validate_repeats(
    path: str | Path, selection: Selection | None = None, *, bootstrap: int = 500, seed: int = 0
) -> RepeatsReport:
    """Test the errors of a visit catalogue (FITS or Parquet) on all pairs of visits of the same star.

    `apnet_fast.validate.noise_fit` defines the method. bootstrap: number of replicates, at least 2; seed: its seed.
    Raises UsageError if the file lacks the columns or has no repeats.
    """
    if bootstrap < 2:
        raise UsageError("too few bootstrap replicates", got=bootstrap, expected="at least 2")
    repeats = read_repeats(path, selection or Selection())
    return RepeatsReport(
        catalogue=str(path),
        star_column=repeats.star_column,
        rows=repeats.rows,
        selected=repeats.selected,
        copies=repeats.copies,
        spectra=int(repeats.starts[-1]),
        stars=repeats.stars,
        most_visits=int(np.diff(repeats.starts).max()),
        labels=tuple(_label_result(repeats, label, bootstrap, seed, str(path)) for label in LABELS),
    )


def _label_result(repeats: Repeats, label: str, bootstrap: int, seed: int, path: str) -> LabelResult:
    values = repeats.columns[label].astype(np.float64)
    raw = repeats.columns[f"raw_e_{label}"].astype(np.float64)
    inflated = repeats.columns[f"e_{label}"].astype(np.float64)
    differences = Differences(values, raw, repeats.starts)
    fit = fit_noise_model(differences, bootstrap=bootstrap, seed=seed)
    told_apart = fit.scale > 0 and fit.singular <= _MOST_SINGULAR
    # If errors are all alike, or certainly run the wrong way, the scatter of z can still be judged.
    by_scatter = math.isnan(fit.scale) or fit.scale + _SIGNIFICANT * fit.scale_error < 0
    judged = repeats.stars >= FEWEST_STARS and (told_apart or by_scatter)
    published = published_model(raw, inflated, label, path)
    z_inflated = _z_scores(Differences(values, inflated, repeats.starts), bootstrap, seed)
    unknown = Estimate(math.nan, math.nan)
    comparisons = _comparisons(fit if told_apart else None, published, raw, z_inflated.scatter, repeats)
    return LabelResult(
        label=label,
        unit=UNITS[label],
        pairs=differences.pairs,
        raw=_z_scores(differences, bootstrap, seed),
        inflated=z_inflated,
        published=published,
        scale=Estimate(fit.scale, fit.scale_error) if told_apart else unknown,
        offset=Estimate(fit.offset, fit.offset_error) if told_apart else unknown,
        correlation=fit.correlation if told_apart else math.nan,
        comparisons=tuple(comparisons),
        judged=judged,
    )


def _z_scores(differences: Differences, bootstrap: int, seed: int) -> ZScores:
    fit = fit_scale(differences, bootstrap=bootstrap, seed=seed)
    # Resampling few stars underestimates the error, so it is never below that of as many independent Gaussian values.
    independent = int(differences.starts[-1]) - (len(differences.starts) - 1)
    error = max(fit.scale_error, fit.scale * math.sqrt(_ROBUST_VARIANCE / (2 * independent)))
    weights = z_histogram(differences.values, differences.errors, differences.starts, Z_WIDTH, Z_BINS)
    shares = weights / weights.sum()
    beyond = float(shares[round(3 / Z_WIDTH) :].sum())
    return ZScores(Estimate(fit.scale, error), beyond, tuple((shares[:-1] / Z_WIDTH).tolist()))


def published_model(
    raw: NDArray[np.float64], inflated: NDArray[np.float64], label: str, path: str
) -> tuple[float, float]:
    """Return scale and offset of the catalogue's own e = scale * raw_e + offset; the offset is 0 if raw_e is constant.

    raw, inflated: float64 (n,), as stored in float32. Raises UsageError if the columns follow no straight line.
    """
    low, high = int(np.argmin(raw)), int(np.argmax(raw))
    if raw[high] > raw[low]:
        scale = float((inflated[high] - inflated[low]) / (raw[high] - raw[low]))
        offset = float(inflated[low] - scale * raw[low])
    else:
        scale, offset = float(inflated[low] / raw[low]), 0.0
    worst = int(np.argmax(np.abs(inflated - scale * raw - offset) / inflated))
    if abs(inflated[worst] - scale * raw[worst] - offset) > 1e-3 * inflated[worst]:
        raise UsageError(
            f"e_{label} is not linear in raw_e_{label}, so no single noise model was applied",
            got=f"e {inflated[worst]:.6g} at raw {raw[worst]:.6g}",
            expected=f"{scale * raw[worst] + offset:.6g} = {scale:.4g} raw + {offset:.4g}",
            remedy="give a catalogue of one run",
            where=path,
        )
    # The columns are float32: further digits are rounding.
    return float(f"{scale:.4g}"), float(f"{offset:.3g}") if abs(offset) > 1e-5 * inflated[worst] else 0.0


def _comparisons(
    fit: Fit | None,
    published: tuple[float, float],
    raw: NDArray[np.float64],
    inflated_scatter: Estimate,
    repeats: Repeats,
) -> list[ErrorComparison]:
    """Return fitted over published error at typical formal errors; without a fit, the scatter of inflated z."""
    # Student's t over the normal quantile, to first order in 1 / degrees of freedom (Abramowitz & Stegun 26.7.5).
    widened = _SIGNIFICANT + (_SIGNIFICANT**3 + _SIGNIFICANT) / (4 * max(repeats.stars - 1, 1))
    out = []
    for percentile, raw_error in zip(_COMPARED_AT, np.percentile(raw, _COMPARED_AT), strict=True):
        ratio = inflated_scatter
        log_error = ratio.error / ratio.value if ratio.value > 0 else 0.0
        if fit is not None:
            error = published[0] * raw_error + published[1]
            replicates = (fit.replicates[:, 0] * raw_error + fit.replicates[:, 1]) / error
            ratio = Estimate(float(fit.sigma(raw_error) / error), standard_error(replicates))
            log_error = standard_error(np.log(np.maximum(replicates, np.finfo(float).tiny)))
        out.append(ErrorComparison(percentile, float(raw_error), ratio, widened * log_error))
    return out
