"""Robust fit of errors to the differences between repeated measurements of the same stars.

Model. A spectrum with formal error e measures its star with Gaussian error sigma = scale * e + offset. The difference d
of two spectra i and j of one star then has variance sigma_i^2 + sigma_j^2, and z = d / sqrt(that variance) is normal.
The true label of the star cancels.

Weights. A star with n visits gives n (n - 1) / 2 pairs but only n - 1 independent differences. Each of its pairs has
weight 2 / n, so the star has weight n - 1. For equal errors this is the ordinary sample variance pooled over stars.

Estimate. This is maximum likelihood, except that |z| beyond CUT counts as CUT (Huber's "Proposal 2"; Huber 1981, Robust
Statistics, ch. 6). It minimises the sum of w [B ln(sigma) + R(z)]. R is z^2 / 2 for |z| < CUT and continues as
CUT^2 ln|z|; B = E[min(z^2, CUT^2)] under N(0, 1) makes the estimate consistent for Gaussian errors. Binaries and failed
visits have bounded weight: if 1 % of the pairs differ by any amount, the errors rise by 2 %. Without outliers the
variance of the estimate is 1.13 times that of plain maximum likelihood.

Degeneracy. Scale and offset can be separated only if formal errors differ between spectra: equal errors determine only
scale * e + offset. If they cannot be separated at all, both are NaN. A negative offset is allowed as long as every
sigma is positive; otherwise a true offset of zero would be overestimated.

Uncertainties. The bootstrap resamples stars, not pairs, because pairs share spectra. The standard error is half the
range of the central 68 % of the replicates. With fewer than REFITTED stars every replicate is fitted. With more, each
takes one Newton step from the estimate with its own score and curvature, which is the same to first order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apnet_fast.support.compiled import compiled

CUT = 2.0
REFITTED = 300
_BELOW = math.erf(CUT / math.sqrt(2.0)) - 2 * CUT * math.exp(-(CUT**2) / 2) / math.sqrt(2 * math.pi)
_EXPECTED = _BELOW + CUT**2 * math.erfc(CUT / math.sqrt(2.0))

_MOST_STEPS = 60
# The parameters are about one, and known to a few per mille at best.
_SMALLEST_STEP = 1e-6
# Relative determinant of the information matrix below which scale and offset count as one parameter.
_SINGULAR = 1e-7


@dataclass(frozen=True)
class Differences:
    """Repeated measurements of a label: values and formal errors float64 (n,); star k is starts[k]:starts[k + 1]."""

    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    starts: NDArray[np.int64]

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        visits = np.diff(self.starts)
        return int((visits * (visits - 1) // 2).sum())


@dataclass(frozen=True)
class Fit:
    """Fitted scale and offset (in units of the label), and bootstrap replicates float64 (b, 2) of both.

    singular: share of the replicates that could not separate scale from offset and are left out.
    """

    scale: float
    offset: float
    replicates: NDArray[np.float64]
    singular: float = 0.0

    @property
    def scale_error(self) -> float:
        """Standard error of the scale."""
        return standard_error(self.replicates[:, 0])

    @property
    def offset_error(self) -> float:
        """Standard error of the offset."""
        return standard_error(self.replicates[:, 1])

    @property
    def correlation(self) -> float:
        """Correlation of scale and offset; NaN if one of them does not vary."""
        deviations = self.replicates - self.replicates.mean(axis=0)
        norms = np.sqrt((deviations**2).sum(axis=0))
        return float((deviations[:, 0] * deviations[:, 1]).sum() / norms.prod()) if norms.all() else math.nan

    def sigma(self, error: NDArray[np.float64] | float) -> NDArray[np.float64] | float:
        """Return the fitted error of a spectrum with this formal error."""
        return self.scale * error + self.offset


def standard_error(replicates: NDArray[np.float64]) -> float:
    """Return half the central 68 % range of bootstrap replicates; for normal ones this is the standard deviation."""
    low, high = np.percentile(replicates, (15.865, 84.135))
    return float(high - low) / 2


def fit_scale(differences: Differences, *, bootstrap: int, seed: int) -> Fit:
    """Fit the factor on the formal errors that makes z standard normal (the robust scatter of z); the offset is 0."""
    return _fit(differences, free_offset=False, bootstrap=bootstrap, seed=seed)


def fit_noise_model(differences: Differences, *, bootstrap: int, seed: int) -> Fit:
    """Fit scale and offset as the module's docstring defines them; NaN if all formal errors are alike.

    bootstrap: number of replicates, at least 2. Raises ValueError if there is no star.
    """
    return _fit(differences, free_offset=True, bootstrap=bootstrap, seed=seed)


def _fit(differences: Differences, *, free_offset: bool, bootstrap: int, seed: int) -> Fit:
    if len(differences.starts) < 2:
        raise ValueError("no star with two visits")
    # In units of the median error, both parameters are about one.
    unit = float(np.median(differences.errors))
    data = (differences.values / unit, differences.errors / unit, differences.starts)
    stars = len(differences.starts) - 1
    free, ones = (2 if free_offset else 1), np.ones(stars)
    estimate = _minimise(data, ones, np.array([_first_guess(data), 0.0]), free=1)
    if free_offset:
        estimate = _minimise(data, ones, estimate, free=2)
    terms = _terms(*data, *estimate)
    rng, replicates = np.random.default_rng(seed), np.tile(np.nan, (bootstrap, 2))
    if not np.isnan(estimate).any():
        for b in range(bootstrap):
            weights = np.bincount(rng.integers(0, stars, stars), minlength=stars).astype(np.float64)
            if stars < REFITTED:
                replicates[b] = _minimise(data, weights, estimate, free)
            else:
                replicates[b] = _newton_step(terms, weights, estimate, free)
        # A replicate of few stars may be unable to separate scale from offset.
        replicates = replicates[np.isfinite(replicates[:, 0])]
    singular = 1 - len(replicates) / bootstrap
    if len(replicates) < 2:
        replicates = np.full((2, 2), np.nan)
    to_label = np.array([1.0, unit])
    scale, offset = estimate * to_label
    return Fit(float(scale), float(offset), replicates * to_label, singular)


_Data = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]


def _first_guess(data: _Data) -> float:
    """Estimate the scale from neighbouring visits: 1.48 x the median of |z|, or 1 if most differences are 0."""
    values, errors, starts = data
    same_star = np.ones(len(values) - 1, dtype=bool)
    same_star[starts[1:-1] - 1] = False
    z = np.abs(np.diff(values)) / np.hypot(errors[1:], errors[:-1])
    return 1.4826 * float(np.median(z[same_star])) or 1.0


def _minimise(data: _Data, weights: NDArray[np.float64], start: NDArray[np.float64], free: int) -> NDArray[np.float64]:
    """Fit the first `free` parameters by Fisher scoring with step halving; NaN if the information is singular.

    weights: float64 (stars,), how often each star counts.
    """
    estimate = start
    sums = weights @ _terms(*data, *estimate)
    for _ in range(_MOST_STEPS):
        matrix = _symmetric(sums[6:])[:free, :free]
        if free == 2 and not np.linalg.det(matrix) > _SINGULAR * matrix[0, 0] * matrix[1, 1]:
            return np.full(2, np.nan)
        step = np.zeros(2)
        step[:free] = -np.linalg.solve(matrix, sums[1 : 1 + free])
        while np.abs(step).max() > _SMALLEST_STEP:
            there = weights @ _terms(*data, *(estimate + step))
            if there[0] <= sums[0]:
                break
            step /= 2
        else:
            return estimate
        estimate, sums = estimate + step, there
    return estimate


def _newton_step(
    terms: NDArray[np.float64], weights: NDArray[np.float64], estimate: NDArray[np.float64], free: int
) -> NDArray[np.float64]:
    """Take one Newton step from the estimate with these star weights; NaN if the loss is not convex."""
    sums = weights @ terms
    curvature = _symmetric(sums[3:6])[:free, :free]
    if not (np.linalg.det(curvature) > 0 and curvature[0, 0] > 0):
        return np.full(2, np.nan)
    step = np.zeros(2)
    step[:free] = np.linalg.solve(curvature, sums[1 : 1 + free])
    return estimate - step


def _symmetric(entries: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([[entries[0], entries[1]], [entries[1], entries[2]]])


@compiled
def _terms(values, errors, starts, scale, offset):  # type: ignore[no-untyped-def]
    """Return each star's terms, float64 (stars, 9): loss, 2 first and 3 second derivatives, 3 of the information."""
    stars = len(starts) - 1
    out = np.zeros((stars, 9))
    for k in range(stars):
        first, last = starts[k], starts[k + 1]
        weight = 2.0 / (last - first)
        for i in range(first, last):
            sigma_i = scale * errors[i] + offset
            if not sigma_i > 0:
                # The other sums stay finite, so that a weight of 0 removes them.
                out[k, 0] = 1e300
                break
            for j in range(i + 1, last):
                sigma_j = scale * errors[j] + offset
                variance = sigma_i * sigma_i + sigma_j * sigma_j
                z2 = (values[i] - values[j]) ** 2 / variance
                if z2 < CUT * CUT:
                    rho, chi, slope = z2 / 2, z2, 2 * z2
                else:
                    rho, chi, slope = CUT * CUT / 2 * (1 + math.log(z2 / (CUT * CUT))), CUT * CUT, 0.0
                # Derivatives of ln(sigma of the difference) with respect to scale (s) and offset (o).
                s = (sigma_i * errors[i] + sigma_j * errors[j]) / variance
                o = (sigma_i + sigma_j) / variance
                ss = (errors[i] * errors[i] + errors[j] * errors[j]) / variance - 2 * s * s
                so = (errors[i] + errors[j]) / variance - 2 * s * o
                oo = 2 / variance - 2 * o * o
                excess = _EXPECTED - chi
                out[k, 0] += weight * (_EXPECTED * 0.5 * math.log(variance) + rho)
                out[k, 1] += weight * excess * s
                out[k, 2] += weight * excess * o
                out[k, 3] += weight * (slope * s * s + excess * ss)
                out[k, 4] += weight * (slope * s * o + excess * so)
                out[k, 5] += weight * (slope * o * o + excess * oo)
                out[k, 6] += weight * 2 * _BELOW * s * s
                out[k, 7] += weight * 2 * _BELOW * s * o
                out[k, 8] += weight * 2 * _BELOW * o * o
    return out


@compiled
def z_histogram(values, errors, starts, width, bins):  # type: ignore[no-untyped-def]
    """Return the weights of |z| float64 (bins + 1,) in bins of that width from 0; the last holds all larger |z|."""
    out = np.zeros(bins + 1)
    for k in range(len(starts) - 1):
        first, last = starts[k], starts[k + 1]
        for i in range(first, last):
            for j in range(i + 1, last):
                z = abs(values[i] - values[j]) / math.sqrt(errors[i] * errors[i] + errors[j] * errors[j])
                out[min(int(min(z / width, bins)), bins)] += 2.0 / (last - first)
    return out
