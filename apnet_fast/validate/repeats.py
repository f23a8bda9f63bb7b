"""What repeated visits say about the errors of a catalogue."""

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
Z_WIDTH, Z_BINS = 0.1, 60  # bins of |z| in the histograms, in bins of 0.1 up to 6
# Formal errors at which published and fitted model are compared: around the middle of what the catalogue holds.
_COMPARED_AT = (16.0, 50.0, 84.0)
# Of fewer stars the bootstrap does not know its own error, nor of a fit that loses this share of its replicates.
FEWEST_STARS = 30
_MOST_SINGULAR = 0.05
# Standard errors that a verdict asks for. Nine ratios are looked at, and right errors should fail at most one catalogue
# in twenty: two-sided 0.05 / 9 is 2.8 of them.
_SIGNIFICANT = 3.0
# Variance of the robust scatter over that of the root mean square, for normal z (`noise_fit`).
_ROBUST_VARIANCE = 1.13


@dataclass(frozen=True)
class Estimate:
    """A value and its standard error, by bootstrap over stars."""

    value: float
    error: float

    def text(self, digits: int) -> str:
        """As printed."""
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f}"


@dataclass(frozen=True)
class ZScores:
    """z-scores of all pairs with one kind of errors.

    scatter: robust scatter of z, 1 for right errors; it is the factor that the errors lack. beyond_3: share of |z| > 3
    (0.0027 for normal errors). density: of |z| in bins of 0.1 from 0 to 6, per unit of |z|; the rest lies beyond.
    """

    scatter: Estimate
    beyond_3: float
    density: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """Fitted over published error of a spectrum with this formal error (at a percentile of the repeated spectra).

    margin: of the logarithm of the ratio, what counts as chance: three standard errors, widened as Student's t is.
    """

    percentile: float
    raw_error: float
    ratio: Estimate
    margin: float

    def off_by_more_than(self, factor: float) -> bool:
        """Whether the ratio lies outside 1 / factor .. factor by more than the margin."""
        distance = abs(math.log(self.ratio.value)) if self.ratio.value > 0 else math.inf
        return distance - self.margin > math.log(factor)


@dataclass(frozen=True)
class LabelResult:
    """One label: z-scores with both errors, and the noise model that the pairs ask for beside the published one.

    published: (scale, offset) of the catalogue itself, read off its e_ and raw_e_ columns. scale, offset, correlation
    are NaN where formal errors are too alike, or stars too few, to tell scale from offset. judged: whether there are
    stars enough for a verdict.
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
    comparisons: tuple[Comparison, ...]
    judged: bool


@dataclass(frozen=True)
class RepeatsReport:
    """What `validate repeats` finds: counts, and a result for each label.

    rows, selected, spectra, stars: of the file, those that pass the selection, those of them of stars with two or more,
    and such stars. copies: rows left out because a selected row has the same identity.
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
        """Labels with stars enough whose published errors are off by more than the factor, beyond chance."""
        return [
            result.label
            for result in self.labels
            if result.judged and any(one.off_by_more_than(factor) for one in result.comparisons)
        ]

    @property
    def not_judged(self) -> list[str]:
        """Labels of which too few stars are there to judge their errors."""
        return [result.label for result in self.labels if not result.judged]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: NaN becomes null."""
        return without_nan(asdict(self))

    def text(self) -> str:
        """The tables as printed."""
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

    Definitions: `apnet_fast.validate.noise_fit`. bootstrap: replicates, at least 2; seed: of the bootstrap.
    Raises UsageError for a file without the columns or without repeats.
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
    # Of errors that are all alike, or that certainly run the wrong way, the scatter of z can still be judged.
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
    # Few stars drawn again repeat themselves: no error is below that of as many independent Gaussian differences.
    independent = int(differences.starts[-1]) - (len(differences.starts) - 1)
    error = max(fit.scale_error, fit.scale * math.sqrt(_ROBUST_VARIANCE / (2 * independent)))
    weights = z_histogram(differences.values, differences.errors, differences.starts, Z_WIDTH, Z_BINS)
    shares = weights / weights.sum()
    beyond = float(shares[round(3 / Z_WIDTH) :].sum())
    return ZScores(Estimate(fit.scale, error), beyond, tuple((shares[:-1] / Z_WIDTH).tolist()))


def published_model(
    raw: NDArray[np.float64], inflated: NDArray[np.float64], label: str, path: str
) -> tuple[float, float]:
    """scale and offset of e = scale * raw_e + offset as a catalogue applied it; scale alone where raw_e never varies.

    raw, inflated: float64 (n,), as stored in float32. UsageError where the columns follow no straight line.
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
            f"e_{label} is no straight line in raw_e_{label}, so no one noise model was applied",
            got=f"e {inflated[worst]:.6g} at raw {raw[worst]:.6g}",
            expected=f"{scale * raw[worst] + offset:.6g} = {scale:.4g} raw + {offset:.4g}",
            remedy="give a catalogue of one run",
            where=path,
        )
    # The columns are float32: more digits than these are rounding.
    return float(f"{scale:.4g}"), float(f"{offset:.3g}") if abs(offset) > 1e-5 * inflated[worst] else 0.0


def _comparisons(
    fit: Fit | None,
    published: tuple[float, float],
    raw: NDArray[np.float64],
    inflated_scatter: Estimate,
    repeats: Repeats,
) -> list[Comparison]:
    """Fitted over published error at typical formal errors; the scatter of inflated z where there is no fit."""
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
        out.append(Comparison(percentile, float(raw_error), ratio, widened * log_error))
    return out
