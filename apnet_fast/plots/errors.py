"""Draw the errors of the labels against signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apnet_fast.plots.figures import new_panels
from apnet_fast.plots.frame import frame_of
from apnet_fast.plots.histograms import COLOURS
from apnet_fast.plots.spectra import LabelledRows
from apnet_fast.plots.symbols import PRODUCT_NAMES, axis_label
from apnet_fast.recipes.labels import LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_POINTS = 3000
_FEWEST_PER_BIN, _MOST_BINS = 40, 16


def draw_errors(products: Mapping[str, LabelledRows], columns: int = 3) -> Figure | None:
    """Draw one panel per label: raw errors of unflagged spectra against S/N, as points with their running median.

    Dotted lines are running medians of the published errors (e_). columns: 3 for a wide figure, 1 for a narrow one.
    Returns None if no spectrum has both an error and an S/N.
    """
    if not any(_usable(each, label).any() for each in products.values() for label in LABELS):
        return None
    with new_panels(len(LABELS), columns) as (figure, panels):
        for axes, label in zip(panels, LABELS, strict=True):
            for product, measured in products.items():
                _draw_product(axes, label, product, measured)
            _frame(axes, label, products)
            axes.set_xlabel("S/N per pixel")
            axes.set_ylabel(axis_label(label, "error of {}"))
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4 if columns > 1 else 2)
    return figure


def _frame(axes: Axes, label: str, products: Mapping[str, LabelledRows]) -> None:
    """Set logarithmic axes around nearly all spectra, and count the others in the panel."""
    chosen = {product: _usable(each, label) for product, each in products.items()}
    snr = np.log10(np.concatenate([each.snr[chosen[product]] for product, each in products.items()]))
    raw = np.log10(np.concatenate([each.raw_errors[label][chosen[product]] for product, each in products.items()]))
    axes.set_xscale("log")
    axes.set_yscale("log")
    if not len(snr):
        return
    x, y = frame_of(snr, snr, 0.05), frame_of(raw, raw, 0.05)
    axes.set_xlim(10**x.low, 10**x.high)
    axes.set_ylim(10**y.low, 10**y.high)
    beyond = (snr < x.low) | (snr > x.high) | (raw < y.low) | (raw > y.high)
    if beyond.any():
        words = f"{int(beyond.sum()):,} beyond"
        axes.text(0.97, 0.97, words, transform=axes.transAxes, ha="right", va="top", fontsize=7.5, color="0.35")


def _usable(measured: LabelledRows, label: str) -> NDArray[np.bool_]:
    snr, error = measured.snr, measured.raw_errors[label]
    return ~measured.bad & np.isfinite(snr) & (snr > 0) & np.isfinite(error) & (error > 0)


def _draw_product(axes: Axes, label: str, product: str, measured: LabelledRows) -> None:
    chosen = _usable(measured, label)
    if not chosen.any():
        return
    snr, raw = measured.snr[chosen], measured.raw_errors[label][chosen]
    published = measured.errors[label][chosen]
    colour, zorder = COLOURS[product], 2 if product == "star" else 1
    some = slice(None, None, -(-len(snr) // _MOST_POINTS))
    alpha = float(np.clip(6 / np.sqrt(min(len(snr), _MOST_POINTS)), 0.1, 0.6))
    axes.plot(snr[some], raw[some], "o", color=colour, ms=2, mew=0, alpha=alpha, rasterized=True, zorder=zorder)
    middles, medians = running_median(snr, raw)
    marker = "" if len(middles) > 1 else "s"
    axes.plot(middles, medians, "-", marker=marker, color="white", linewidth=3.4, zorder=3)
    name = PRODUCT_NAMES[product]
    axes.plot(middles, medians, "-", marker=marker, color=colour, linewidth=1.7, label=f"raw, {name}", zorder=4)
    known = np.isfinite(published) & (published > 0)
    if known.any():
        middles, medians = running_median(snr[known], published[known])
        axes.plot(middles, medians, ":", marker=marker, color="white", linewidth=3.0, zorder=3)
        axes.plot(middles, medians, ":", marker=marker, color=colour, linewidth=1.7, label=f"e_, {name}", zorder=4)


def running_median(
    snr: NDArray[np.float32], values: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the median S/N and the median value in bins of equal number, at least 40 spectra in each if possible."""
    bins = int(np.clip(len(snr) // _FEWEST_PER_BIN, 1, _MOST_BINS))
    parts = np.array_split(np.argsort(snr, kind="stable"), bins)
    return np.array([np.median(snr[part]) for part in parts]), np.array([np.median(values[part]) for part in parts])
