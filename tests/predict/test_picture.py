"""A picture shows the very draws behind the labels, and what the network got."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apnet_fast.api import ApogeeNet
from apnet_fast.predict.picture import star_picture, title_of
from apnet_fast.predict.stars import Found, predict_files


def test_the_draws_are_those_of_the_labels(found: Found, net: ApogeeNet) -> None:
    assert found.shown is not None
    picture = star_picture(net, found.shown, draws=5, seed=0)
    labels = found.shown.result.labels
    for number, label in enumerate(("teff", "logg", "fe_h")):
        assert np.float32(np.median(picture.draws[:, number])) == np.float32(labels[label])
        assert picture.labels[label] == labels[label]
        assert picture.errors[label] == labels[f"e_{label}"]
        raw = np.std(picture.draws[:, number], ddof=1)
        assert np.float32(raw) == pytest.approx(np.float32(labels[f"raw_e_{label}"]), rel=1e-6)
    other = star_picture(net, found.shown, draws=5, seed=1)
    assert not np.array_equal(other.draws, picture.draws)
    np.testing.assert_array_equal(other.clean, picture.clean)


@pytest.mark.parametrize(
    ("recipe", "clip"), [("dr19", 0.0), ("bossnet-2", 1.0), ("astra-0.6", 1.0)], ids=lambda word: str(word)
)
def test_the_network_sees_clipped_log_flux(recipe: str, clip: float, files: list[Path], small_weights: Path) -> None:
    net = ApogeeNet.load(small_weights, recipe=recipe, device="cpu")
    shown = predict_files(net, files[:1], draws=3).shown
    assert shown is not None
    picture = star_picture(net, shown, draws=3, seed=0)
    assert picture.log_flux
    assert picture.seen.shape == (2, 8575)
    flux = np.where(np.isfinite(shown.flux), shown.flux, 0)
    log_flux = np.log(np.maximum(flux, np.float32(1e-6)))
    expected = np.minimum(log_flux, np.quantile(log_flux, 0.95) + clip)
    np.testing.assert_allclose(picture.seen[0], expected, atol=2e-5)
    assert not np.array_equal(picture.seen[0], picture.seen[1])


def test_without_draws_there_is_the_clean_spectrum_alone(files: list[Path], small_weights: Path) -> None:
    net = ApogeeNet.load(small_weights, recipe="bossnet-2", device="cpu")
    shown = predict_files(net, files[:1], draws=0).shown
    assert shown is not None
    picture = star_picture(net, shown, draws=0, seed=0)
    assert (picture.seen.shape, picture.draws.shape) == ((1, 8575), (0, 3))
    assert np.isnan(picture.errors["teff"])
    assert picture.labels["teff"] == pytest.approx(picture.clean[0], rel=1e-6)


def test_titles_name_the_spectrum(found: Found) -> None:
    coadd, visit, gone = found.results[:3]
    assert title_of(coadd) == f"{coadd.record.star.obj}, coadd, S/N {coadd.record.snr:.0f}"
    assert title_of(visit).split(", ")[1] == f"visit {visit.record.visit.mjd}"
    assert "S/N" not in title_of(gone)
