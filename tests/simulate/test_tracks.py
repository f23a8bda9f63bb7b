"""Populations: a main sequence, a giant branch that answers to metallicity, and everybody else."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.simulate.tracks import POPULATION_SHARES, StarLabels, draw_labels, giant_branch_teff, main_sequence_logg


@pytest.fixture(scope="module")
def stars() -> list[StarLabels]:
    rng = np.random.default_rng(0)
    return [draw_labels(rng) for _ in range(3000)]


def column(stars: list[StarLabels], name: str, population: str | None = None) -> np.ndarray:
    return np.array([getattr(star, name) for star in stars if population in (None, star.population)])


def test_the_mix_is_that_of_the_survey(stars: list[StarLabels]) -> None:
    assert sum(POPULATION_SHARES.values()) == pytest.approx(1.0)
    teff, logg, fe_h = (column(stars, name) for name in ("teff", "logg", "fe_h"))
    assert 0.4 < np.mean(logg < 3.5) < 0.7
    assert 0.01 < np.mean(teff > 7500) < 0.08
    assert 0.02 < np.mean(teff < 3600) < 0.2
    assert teff.min() >= 2800
    assert 20_000 < teff.max() <= 32_000
    assert np.all((fe_h >= -2.4) & (fe_h <= 0.5))
    assert np.mean(fe_h < -1.0) > 0.02


def test_dwarfs_lie_on_the_main_sequence_and_the_young_above_it(stars: list[StarLabels]) -> None:
    def above(population: str) -> np.ndarray:
        chosen = [star for star in stars if star.population == population]
        return np.array([main_sequence_logg(star.teff) - star.logg for star in chosen])

    assert np.all(np.abs(above("cool_dwarf")) < 0.25)
    assert np.all(above("dwarf") > -0.3)
    assert np.all(above("young") > 0.1)
    assert above("young").mean() > 0.5


def test_giants_of_lower_metallicity_are_hotter(stars: list[StarLabels]) -> None:
    assert giant_branch_teff(1.5, -1.0) - giant_branch_teff(1.5, 0.0) == pytest.approx(270.0)
    logg, teff = column(stars, "logg", "giant"), column(stars, "teff", "giant")
    fe_h = column(stars, "fe_h", "giant")
    offset = teff - np.array([giant_branch_teff(g, 0.0) for g in logg])
    assert np.corrcoef(offset, fe_h)[0, 1] < -0.7
    assert np.corrcoef(logg, teff)[0, 1] > 0.8


def test_hot_stars_spin_and_giants_do_not(stars: list[StarLabels]) -> None:
    assert np.median(column(stars, "vsini", "hot")) > 60
    assert np.median(column(stars, "vsini", "giant")) < 5
    assert column(stars, "vsini").max() <= 350
