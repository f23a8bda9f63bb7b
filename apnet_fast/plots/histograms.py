"""Draw histograms of the labels of stars and visits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apnet_fast.plots.figures import BLUE, ORANGE, new_panels
from apnet_fast.plots.frame import LEAST_MARGIN, Frame, frame_of
from apnet_fast.plots.spectra import LabelledRows
from apnet_fast.plots.symbols import PRODUCT_NAMES, axis_label
from apnet_fast.recipes.labels import LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"star": BLUE, "visit": ORANGE}
_FEWEST_BINS, _MOST_BINS = 8, 60


def draw_histograms(products: Mapping[str, LabelledRows], columns: int = 3) -> Figure:
    """Draw one panel per label: the unflagged spectra per bin, for each product ("star", "visit").

    They are shares of all spectra of the product. Flagged spectra are a grey area, as shares of all spectra. Values
    beyond a panel are counted in it. columns: 3 for a wide figure, 1 for a narrow one.
    """
    with new_panels(len(LABELS), columns) as (figure, panels):
        for axes, label in zip(panels, LABELS, strict=True):
            _panel(axes, label, products)
        for axes in panels[::columns]:
            axes.set_ylabel("share per bin  [%]")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=3 if columns > 1 else 2)
    return figure


def _panel(axes: Axes, label: str, products: Mapping[str, LabelledRows]) -> None:
    everything = np.concatenate([each.labels[label] for each in products.values()])
    flagged = np.concatenate([each.labels[label][each.bad] for each in products.values()])
    good = {product: each.labels[label][~each.bad] for product, each in products.items()}
    core = np.concatenate(list(good.values()))
    frame = frame_of(core if len(core) else everything, everything, LEAST_MARGIN[label])
    bins = _bins(frame, max((len(values) for values in good.values()), default=0))
    if len(flagged):
        name = f"flag_bad ({len(flagged):,})"
        axes.hist(flagged, bins.tolist(), weights=_shares(flagged, len(everything)), color="0.85", label=name, zorder=1)
    for product, values in good.items():
        if len(values):
            axes.hist(
                values,
                bins.tolist(),
                weights=_shares(values, len(products[product])),
                histtype="step",
                color=COLOURS[product],
                linewidth=1.4,
                linestyle="-" if product == "star" else (0, (4, 1.2)),
                label=PRODUCT_NAMES[product],
                zorder=2,
            )
    axes.set_xlim(frame.low, frame.high)
    axes.set_xlabel(axis_label(label))
    for count, x, side in ((frame.below, 0.02, "left"), (frame.above, 0.98, "right")):
        if count:
            words = f"{count:,} below" if side == "left" else f"{count:,} above"
            axes.text(x, 0.97, words, transform=axes.transAxes, ha=side, va="top", fontsize=7.5, color="0.35")


def _bins(frame: Frame, number: int) -> NDArray[np.float64]:
    """Return bin edges, about as many as the cube root of the number of spectra supports."""
    bins = int(np.clip(round(2 * max(number, 1) ** (1 / 3)), _FEWEST_BINS, _MOST_BINS))
    return np.linspace(frame.low, frame.high, bins + 1)


def _shares(values: NDArray[np.float32], whole: int) -> NDArray[np.float64]:
    return np.full(len(values), 100.0 / whole)
