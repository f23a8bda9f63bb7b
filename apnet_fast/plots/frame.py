"""Choose the range of an axis so that outliers are shown, or counted at its edge, but never lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The bulk of the data keeps at least this share of an axis, however far outliers lie.
_LEAST_SHARE = 0.6
_BULK = (1.0, 99.0)
# If there are many values, this share at either end is counted and does not widen the axis.
_RARE = 5e-4
_MARGIN = 0.05

LEAST_MARGIN = {"teff": 60.0, "logg": 0.1, "fe_h": 0.05}
"""Smallest margin of an axis that shows a label, in the label's unit."""


@dataclass(frozen=True)
class Frame:
    """Range of an axis, and how many values lie below and above it."""

    low: float
    high: float
    below: int
    above: int

    @property
    def outside(self) -> int:
        """Number of values that the axis does not show."""
        return self.below + self.above


def frame_of(bulk: NDArray, values: NDArray, least: float) -> Frame:
    """Return the range around the bulk that shows the most of all values.

    bulk: values that the axis is for, (m,), at least one. values: all values, (n,). The range holds the central 98 %
    of the bulk, and as many of the other values as fit while that part keeps 60 % of the axis; the outermost
    0.05 % of many values do not count. least: smallest margin.
    """
    low, high = (float(edge) for edge in np.percentile(bulk, _BULK))
    ordered = np.sort(values.astype(np.float64))
    rare = int(_RARE * len(ordered))
    common = ordered[rare : len(ordered) - rare]
    widest = max(high - low, 4 * least) / _LEAST_SHARE
    lows = np.append(common[common < low], low)
    lows = lows[lows + widest >= high]
    held = np.searchsorted(common, lows + widest, "right") - np.searchsorted(common, lows, "left")
    # If several ranges are equally good, the last is the narrowest.
    low = float(lows[len(lows) - 1 - int(np.argmax(held[::-1]))])
    inside = common[(common >= low) & (common <= low + widest)]
    high = max(high, float(inside[-1])) if len(inside) else high
    margin = max(_MARGIN * (high - low), least)
    low, high = low - margin, high + margin
    return Frame(low, high, int(np.count_nonzero(ordered < low)), int(np.count_nonzero(ordered > high)))
