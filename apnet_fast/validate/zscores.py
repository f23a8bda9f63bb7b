"""Draw the z-scores of repeated visits, with raw and with inflated errors, over the normal distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apnet_fast.plots.figures import BLUE, VERMILION, VERMILION_TEXT, new_panels
from apnet_fast.plots.symbols import SYMBOLS
from apnet_fast.validate.repeats import Z_BINS, Z_WIDTH, RepeatsReport, ZScores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LARGEST_Z = 5.0
_RAW, _INFLATED = VERMILION, BLUE
# How many bins of `ZScores` make one of the figure: divisors of their number.
_GROUPS = tuple(group for group in range(1, 11) if Z_BINS % group == 0)


def draw_z_scores(report: RepeatsReport, columns: int = 3) -> Figure:
    """Draw one panel per label, with bins as wide as the number of pairs asks.

    Each pair counts in both orders, because the order of visits means nothing. columns: 3 for a wide figure, 1 for a
    narrow one.
    """
    with new_panels(len(report.labels), columns) as (figure, panels):
        z = np.linspace(-_LARGEST_Z, _LARGEST_Z, 301)
        normal = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        for axes, result in zip(panels, report.labels, strict=True):
            axes.fill_between(z, normal, color="0.87", linewidth=0, label="N(0, 1)")
            for scores, colour, name in ((result.raw, _RAW, "raw errors"), (result.inflated, _INFLATED, "inflated")):
                edges, density = z_density(scores, result.pairs)
                axes.stairs(density, edges, color=colour, linewidth=1.2, label=name)
            # The text stands above the panel: with few pairs a bin may reach any height inside it.
            axes.set_title(SYMBOLS[result.label], fontsize=10, pad=15)
            _above(axes, 0.48, "right", result.raw.scatter.text(3), VERMILION_TEXT)
            _above(axes, 0.52, "left", result.inflated.scatter.text(3), _INFLATED)
            axes.set_xlabel(r"$z = \Delta\,/\,\sigma_\Delta$")
            axes.set_xlim(-_LARGEST_Z, _LARGEST_Z)
        top = 1.05 * max(axes.get_ylim()[1] for axes in panels)
        for axes in panels:
            axes.set_ylim(0, top)
        for axes in panels[::columns]:
            axes.set_ylabel("density of pairs")
            _above(axes, -0.02, "right", "scatter of z", "0.35")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def z_density(scores: ZScores, pairs: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return bin edges (2 m + 1,) and the density of z (2 m,), symmetric about 0.

    The bins are as wide as Freedman and Diaconis' rule gives for normal z: 2.7 / pairs ** (1 / 3).
    """
    wanted = 2 * 1.349 / max(pairs, 1) ** (1 / 3)
    group = next((group for group in _GROUPS if group * Z_WIDTH >= wanted), _GROUPS[-1])
    density: NDArray[np.float64] = np.asarray(scores.density, dtype=np.float64).reshape(-1, group).mean(axis=1) / 2
    edges = group * Z_WIDTH * np.arange(-len(density), len(density) + 1, dtype=np.float64)
    return edges, np.concatenate([density[::-1], density])


def _above(axes: Axes, x: float, side: str, text: str, colour: str) -> None:
    axes.text(x, 1.02, text, transform=axes.transAxes, fontsize=7.5, color=colour, ha=side, va="bottom")
