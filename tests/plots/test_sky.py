"""The map of the sky: Galactic coordinates, an equal-area projection, and what is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from matplotlib.collections import PolyCollection
from matplotlib.projections.geo import MollweideAxes

from apnet_fast.plots.sky import Positions, draw_sky, galactic, mollweide, read_positions
from apnet_fast.support.errors import UsageError
from tests.validate.catalogues import visit_table, written


def positions(number: int, failed: int) -> Positions:
    rng = np.random.default_rng(0)
    latitude = np.arcsin(rng.uniform(-1, 1, number))
    return Positions(rng.uniform(-np.pi, np.pi, number), latitude, np.arange(number) >= failed, unknown=0)


def test_galactic_coordinates_are_those_of_astropy() -> None:
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, 50), np.degrees(np.arcsin(rng.uniform(-1, 1, 50)))
    longitude, latitude = galactic(ra, dec)
    expected = SkyCoord(ra * units.deg, dec * units.deg).galactic
    np.testing.assert_allclose(np.degrees(latitude), expected.b.deg, atol=1e-4)
    np.testing.assert_allclose(np.degrees(longitude) % 360, expected.l.deg, atol=1e-3)
    # The twin: the galactic centre is not where the vernal equinox is.
    assert np.abs(galactic(np.zeros(1), np.zeros(1))[0][0]) > 1


def test_the_projection_is_that_of_matplotlib_with_east_to_the_left() -> None:
    longitude = np.linspace(-np.pi, np.pi, 41)
    latitude = np.concatenate([[-np.pi / 2], np.linspace(-1.57, 1.57, 39), [np.pi / 2]])
    x, y = mollweide(longitude, latitude)
    theirs = MollweideAxes.MollweideTransform(1).transform(np.stack([longitude, latitude], axis=1))
    np.testing.assert_allclose(-x, theirs[:, 0], atol=2e-3)
    np.testing.assert_allclose(y, theirs[:, 1], atol=2e-3)


def test_few_spectra_are_points_and_many_are_cells() -> None:
    axes = draw_sky(positions(50, failed=3), narrow=True).axes[0]
    points, crosses = (line for line in axes.lines if line.get_marker() in "ox")
    assert (len(points.get_xdata()), len(crosses.get_xdata())) == (47, 3)
    figure = draw_sky(positions(5000, failed=0))
    (cells,) = (each for each in figure.axes[0].collections if isinstance(each, PolyCollection))
    assert cells.get_array().sum() == 5000


def test_rows_without_a_position_are_counted(tmp_path: Path) -> None:
    table = visit_table(0, stars=20)
    rows = len(table)
    ra, dec = np.full(rows, 266.405), np.full(rows, -28.936)
    ra[:2] = np.nan
    table = table.append_column("ra", pa.array(ra)).append_column("dec", pa.array(dec))
    found = read_positions(written(table, tmp_path / "c.parquet"))
    assert (len(found), found.unknown) == (rows - 2, 2)
    assert np.abs(found.latitude).max() < 1e-3
    assert found.labelled.all()
    with pytest.raises(UsageError, match="columns of a sky map: ra, dec"):
        read_positions(written(visit_table(0, stars=20), tmp_path / "d.parquet"))
    table = table.set_column(table.column_names.index("ra"), "ra", pa.array(np.full(rows, np.nan)))
    with pytest.raises(UsageError, match="no row has a position"):
        read_positions(written(table, tmp_path / "e.parquet"))
