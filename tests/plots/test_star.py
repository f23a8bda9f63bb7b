"""The picture of one spectrum: what is observed, what the network sees, the draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from apnet_fast.plots.star import StarPicture, draw_star
from apnet_fast.support.grid import CHIP_GAPS, PIXELS


@pytest.fixture
def picture() -> StarPicture:
    """A spectrum with gaps and one strong sky line."""
    rng = np.random.default_rng(2)
    flux = rng.normal(500, 5, PIXELS).astype(np.float32)
    for start, stop in CHIP_GAPS:
        flux[start:stop] = 0
    flux[4000] = 1e5
    log_flux = np.log(np.maximum(flux, 1e-6))
    seen = np.minimum(log_flux, np.quantile(log_flux, 0.95))
    draws = rng.normal((4800, 2.5, -0.2), (30, 0.05, 0.02), (20, 3))
    labels = dict(zip(("teff", "logg", "fe_h"), np.median(draws, axis=0).tolist(), strict=True))
    errors = {"teff": 40.0, "logg": 0.07, "fe_h": 0.03}
    error = np.full(PIXELS, 5, np.float32)
    return StarPicture(
        "a star", flux, error, np.stack([seen, seen + 0.01]), True, draws[0], draws, labels, errors, "median", ()
    )


def test_panels_show_the_spectrum_the_input_and_the_draws(picture: StarPicture) -> None:
    figure = draw_star(picture)
    observed, close, whole, *labels = figure.axes
    flux = observed.lines[0].get_ydata()
    known = picture.flux != 0
    np.testing.assert_array_equal(np.isnan(flux), ~known)
    # The sky line goes beyond the axis, the star does not.
    assert observed.get_ylim()[1] < 1000
    draw, clean = (line.get_ydata() for line in close.lines)
    np.testing.assert_array_equal(clean, picture.seen[0])
    np.testing.assert_array_equal(draw, picture.seen[1])
    assert close.get_ylim()[0] > 5  # the gaps' floor is in the panel below
    assert whole.get_ylim()[0] < -13
    assert len(labels) == 3
    for number, axes in enumerate(labels):
        (ticks,) = [line for line in axes.lines if line.get_marker() == "|"]
        np.testing.assert_array_equal(np.sort(ticks.get_xdata()), np.sort(picture.draws[:, number]))
        assert sum(patch.get_height() for patch in axes.patches[:-1]) == 20
    assert labels[0].get_title() == f"{picture.labels['teff']:.0f} ± 40 K"
    assert labels[1].get_title() == f"{picture.labels['logg']:.2f} ± 0.07 dex"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["draws", "published error", "label (median)", "clean spectrum"]


def test_flags_are_in_the_title(picture: StarPicture) -> None:
    assert "\n" not in draw_star(picture)._suptitle.get_text()  # type: ignore[attr-defined]
    flagged = draw_star(replace(picture, flags=("E_LOGG_LARGE", "LOGG_UNRELIABLE")))
    assert flagged._suptitle.get_text() == "a star\nE_LOGG_LARGE, LOGG_UNRELIABLE"  # type: ignore[attr-defined]


def test_without_draws_the_label_stands_alone(picture: StarPicture) -> None:
    nothing = dict.fromkeys(picture.errors, float("nan"))
    bare = replace(picture, seen=picture.seen[:1], draws=picture.draws[:0], errors=nothing, label_is="clean")
    axes = draw_star(bare).axes
    assert len(axes[1].lines) == 1
    assert axes[3].get_title() == f"{picture.labels['teff']:.0f} K"
    assert len(axes[3].patches) == 0


def test_flux_itself_is_framed_by_the_data(picture: StarPicture) -> None:
    """v2 and v1 see the flux."""
    close = draw_star(replace(picture, seen=picture.flux[None], log_flux=False)).axes[1]
    assert close.get_ylabel().endswith("flux")
    assert "ln" not in close.get_ylabel()
    assert close.get_ylim()[1] < 1000
