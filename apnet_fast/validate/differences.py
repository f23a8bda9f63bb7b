"""Draw the labels of a catalogue minus those of an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apnet_fast.plots.figures import BLUE, VERMILION, new_panels
from apnet_fast.plots.frame import LEAST_MARGIN, frame_of
from apnet_fast.plots.symbols import axis_label
from apnet_fast.recipes.labels import LABELS
from apnet_fast.validate.matched_rows import MatchedRows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_POINTS = 20_000
_CELLS_ACROSS = 50
_SMALLEST_DIFFERENCE = {"teff": 1.0, "logg": 0.002, "fe_h": 0.002}


def draw_differences(rows: MatchedRows, columns: int = 3) -> Figure:
    """Draw one panel per label: B - A against A, of the rows that have the label in both.

    The rows hold the labels and flag_bad. Rows that are flagged in either catalogue are grey. columns: 3 for a wide
    figure, 1 for a narrow one.
    """
    bad = rows.a["flag_bad"].astype(bool) | rows.b["flag_bad"].astype(bool)
    with new_panels(len(LABELS), columns) as (figure, panels):
        for axes, label in zip(panels, LABELS, strict=True):
            a, b = (columns[label].astype(np.float64) for columns in (rows.a, rows.b))
            known = np.isfinite(a) & np.isfinite(b)
            axes.set_xlabel(axis_label(label, "{}, earlier"))
            axes.set_ylabel(axis_label(label, r"$\Delta$ {}"))
            if known.any():
                _panel(axes, label, a[known], b[known] - a[known], bad[known])
            else:
                axes.text(
                    0.5, 0.5, "no common values", transform=axes.transAxes, ha="center", va="center", color="0.35"
                )
    return figure


def _panel(
    axes: Axes, label: str, a: NDArray[np.float64], difference: NDArray[np.float64], bad: NDArray[np.bool_]
) -> None:
    core = ~bad if not bad.all() else bad
    x = frame_of(a[core], a, LEAST_MARGIN[label])
    # Both signs get the same room.
    spread = float(np.percentile(np.abs(difference[core]), 99))
    limit = max(1.3 * spread, _SMALLEST_DIFFERENCE[label])
    beyond = int(np.count_nonzero((np.abs(difference) > limit) | (a < x.low) | (a > x.high)))
    axes.set_xlim(x.low, x.high)
    axes.set_ylim(-limit, limit)
    axes.axhline(0, color="0.3", linewidth=0.8, zorder=3)
    points = {"ms": 2.2, "mew": 0, "alpha": 0.5, "rasterized": True}
    some = slice(None, None, max(1, -(-int(bad.sum()) // _MOST_POINTS)))
    axes.plot(a[bad][some], difference[bad][some], "o", color="0.5", zorder=1, **points)  # type: ignore[arg-type]
    if core.sum() > _MOST_POINTS:
        grid = {"gridsize": _CELLS_ACROSS, "extent": (x.low, x.high, -limit, limit), "mincnt": 1, "bins": "log"}
        inside = core & (np.abs(difference) <= limit)
        axes.hexbin(a[inside], difference[inside], cmap="Blues", linewidths=0.1, rasterized=True, zorder=2, **grid)  # type: ignore[arg-type]
        axes.set_xlim(x.low, x.high)
        axes.set_ylim(-limit, limit)
    else:
        axes.plot(a[core], difference[core], "o", color=BLUE, zorder=2, **points)  # type: ignore[arg-type]
    middle = float(np.median(difference[core]))
    axes.axhline(middle, color=VERMILION, linewidth=1.1, linestyle="--", zorder=4)
    digits = 1 if label == "teff" else 3
    value = f"{middle:+.{digits}f}".replace("-", "\N{MINUS SIGN}")
    words = f"median {value}" + (f"; {beyond:,} beyond" if beyond else "")
    axes.set_title(words, fontsize=8, color="0.25")
