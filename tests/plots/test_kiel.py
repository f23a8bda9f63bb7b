"""The Kiel diagram draws every star at its labels."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PathCollection, PolyCollection

from apnet_fast.plots.figures import figure_bytes
from apnet_fast.plots.kiel import Stars, draw_kiel
from tests.plots.samples import stars


@pytest.mark.parametrize("style", ["points", "cells", "density"])
@pytest.mark.parametrize("log_teff", [False, True])
def test_both_axes_are_inverted_and_hold_the_good_stars(style: str, log_teff: bool) -> None:
    axes = draw_kiel(stars(), style=style, log_teff=log_teff).axes[0]  # type: ignore[arg-type]
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    assert left > right
    assert bottom > top
    inside = [3500, 6000] if not log_teff else [np.log10(3500), np.log10(6000)]
    assert right < inside[1]
    assert left > inside[0]
    assert left < (30000 if not log_teff else np.log10(30000)), "flagged stars set no limits"


def test_points_carry_metallicity_and_flagged_stars_are_grey() -> None:
    axes = draw_kiel(stars()).axes[0]
    grey, coloured = (each for each in axes.collections if isinstance(each, PathCollection))
    assert len(grey.get_offsets()) == 20
    assert len(coloured.get_offsets()) == 480
    np.testing.assert_array_equal(np.sort(coloured.get_array()), np.sort(stars().fe_h[20:]))
    assert np.ptp(grey.get_facecolor()[0][:3]) == 0


def test_cells_show_the_median_and_density_the_number() -> None:
    same = Stars(
        *(np.full(9, value, np.float32) for value in (5000, 3)), np.arange(9, dtype=np.float32), np.zeros(9, bool)
    )
    for style, expected in (("cells", 4.0), ("density", 9.0)):
        (cells,) = (
            each for each in draw_kiel(same, style=style).axes[0].collections if isinstance(each, PolyCollection)
        )  # type: ignore[arg-type]
        assert cells.get_array().max() == expected


def test_only_flagged_stars_still_make_a_figure() -> None:
    figure = draw_kiel(stars(10, bad=10))
    assert len(figure.axes) == 1
    assert figure_bytes(figure, "png").startswith(b"\x89PNG")


def test_vector_files_hold_points_as_an_image() -> None:
    few, many = (len(figure_bytes(draw_kiel(stars(number)), "svg")) for number in (500, 15_000))
    assert many < few + 1_000_000


def test_flagged_hot_stars_are_in_the_frame_or_counted_at_its_edge() -> None:
    """Eighteen flagged stars: near ones widen the frame, far ones are marked and counted."""
    near = stars(300, bad=18)
    near.teff[18:] = np.linspace(3500, 6500, 282)
    near.teff[:18] = np.linspace(6600, 9000, 18)
    axes = draw_kiel(near).axes[0]
    assert axes.get_xlim()[0] > np.log10(9000)
    assert axes.texts[:] == []
    far = stars(300, bad=18)
    axes = draw_kiel(far).axes[0]
    assert [text.get_text() for text in axes.texts] == ["beyond the frame: 18 hotter"]
    (marks,) = (line for line in axes.lines if line.get_marker() == "<")
    assert len(marks.get_xdata()) == 18
    assert set(marks.get_xdata()) == {axes.get_xlim()[0]}


def test_log_teff_is_chosen_if_the_range_asks_for_it() -> None:
    narrow, wide = stars(300, bad=0), stars(300, bad=0)
    wide.teff[:60] = np.linspace(6000, 15_000, 60)
    assert draw_kiel(narrow).axes[0].get_xlim()[0] > 1000
    assert draw_kiel(wide).axes[0].get_xlim()[0] < 5
    assert draw_kiel(wide, log_teff=False).axes[0].get_xlim()[0] > 1000
