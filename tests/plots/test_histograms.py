"""Histograms hold every spectrum once, or count it beyond the panel."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.plots.histograms import draw_histograms
from tests.plots.samples import measured


def test_bins_hold_all_unflagged_spectra_of_each_product() -> None:
    products = {"star": measured(400, seed=0), "visit": measured(900, seed=1)}
    figure = draw_histograms(products)
    axes = figure.axes[2]
    outlines = [patch for patch in axes.patches if type(patch).__name__ == "Polygon"]
    assert len(outlines) == 2
    for outline, each in zip(outlines, products.values(), strict=True):
        # An outline steps up and down once per bin.
        heights = outline.get_xy()[1:-1:2, 1]
        assert heights.sum() == pytest.approx(100 * np.mean(~each.bad), rel=0.02)
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {
        f"flag_bad ({sum(int(each.bad.sum()) for each in products.values())})",
        "stars (coadds)",
        "visits",
    }


def test_spectra_beyond_a_panel_are_counted() -> None:
    hot = measured(300, hot=7)
    axes = draw_histograms({"star": hot}, columns=1).axes[0]
    assert axes.get_xlim()[1] < 20_000
    assert [text.get_text() for text in axes.texts] == ["7 above"]
    assert draw_histograms({"star": measured(300)}).axes[0].texts[:] == []


def test_flagged_spectra_alone_are_drawn() -> None:
    axes = draw_histograms({"visit": measured(20, bad=20)}).axes[0]
    assert len(axes.patches) >= 8
