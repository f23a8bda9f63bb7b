"""Errors against S/N: medians follow the spectra, and what cannot be drawn is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from apnet_fast.plots.errors import draw_errors, running_median
from tests.plots.samples import measured


def test_the_running_median_follows_the_errors() -> None:
    rng = np.random.default_rng(0)
    snr = np.exp(rng.uniform(np.log(10), np.log(300), 2000)).astype(np.float32)
    middles, medians = running_median(snr, (10_000 / snr).astype(np.float32))
    assert len(middles) == 16
    np.testing.assert_allclose(medians, 10_000 / middles, rtol=0.02)
    assert (np.diff(middles) > 0).all()
    assert len(running_median(snr[:5], snr[:5])[0]) == 1


def test_wild_values_of_snr_do_not_set_the_frame() -> None:
    spectra = measured(300)
    snr = spectra.snr.copy()
    snr[-1] = 1e-10
    figure = draw_errors({"star": replace(spectra, snr=snr)})
    assert figure is not None
    axes = figure.axes[0]
    assert axes.get_xlim()[0] > 1
    assert "1 beyond" in [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("columns", [3, 1])
def test_flagged_spectra_are_left_out(columns: int) -> None:
    spectra = measured(300, bad=40)
    figure = draw_errors({"visit": spectra}, columns)
    assert figure is not None
    assert len(figure.axes[1].lines[0].get_xdata()) == 260


def test_without_errors_or_snr_there_is_no_figure() -> None:
    spectra = measured(30)
    assert draw_errors({"star": replace(spectra, snr=np.full(30, np.nan, np.float32))}) is None
    assert draw_errors({"star": replace(spectra, raw_errors={n: 0 * e for n, e in spectra.raw_errors.items()})}) is None
