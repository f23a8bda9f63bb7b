"""Draw the z-scores of repeated visits, with raw and with inflated errors, over the normal distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from apnet_fast.plots.figures import new_figure
from apnet_fast.validate.repeats import Z_WIDTH, RepeatsReport, ZScores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = {"teff": r"$T_\mathrm{eff}$", "logg": r"$\log\,g$", "fe_h": "[Fe/H]"}
_LARGEST_Z = 5.0
# Okabe and Ito's colours, which colour-blind readers can distinguish.
_RAW, _INFLATED = "#E69F00", "#0072B2"


def draw_z_scores(report: RepeatsReport) -> Figure:
    """Draw one panel per label. Each pair counts in both orders, because the order of visits means nothing."""
    with new_figure(7.1, 2.7) as figure:
        panels = figure.subplots(1, len(report.labels), sharex=True, sharey=True)
        z = np.linspace(-_LARGEST_Z, _LARGEST_Z, 301)
        normal = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        for axes, result in zip(panels, report.labels, strict=True):
            axes.fill_between(z, normal, color="0.87", linewidth=0, label="N(0, 1)")
            _step(axes, result.raw, _RAW, "raw errors")
            _step(axes, result.inflated, _INFLATED, "inflated errors")
            # The text stands above the panel: with few pairs a bin may reach any height inside it.
            axes.set_title(NAMES[result.label], fontsize=10, pad=15)
            _above(axes, 0.48, "right", result.raw.scatter.text(3), _RAW)
            _above(axes, 0.52, "left", result.inflated.scatter.text(3), _INFLATED)
            axes.set_xlabel(r"$z = \Delta\,/\,\sigma_\Delta$")
        panels[0].set_ylabel("density of pairs")
        panels[0].set_xlim(-_LARGEST_Z, _LARGEST_Z)
        panels[0].set_ylim(0, None)
        _above(panels[0], -0.02, "right", "scatter of z", "0.35")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _above(axes: Axes, x: float, side: str, text: str, colour: str) -> None:
    axes.text(x, 1.02, text, transform=axes.transAxes, fontsize=7.5, color=colour, ha=side, va="bottom")


def _step(axes: Axes, scores: ZScores, colour: str, label: str) -> None:
    density = np.asarray(scores.density) / 2
    edges = Z_WIDTH * np.arange(-len(density), len(density) + 1)
    axes.stairs(np.concatenate([density[::-1], density]), edges, color=colour, linewidth=1.1, label=label)
