"""The tables of velocities: as many rows, bytes and columns as in archive files, and peaks at the velocities."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.simulate.rv_table import coadd_table, visit_table
from tests.simulate.simulated_visits import summary

VISITS = {"fiber": (100, 101, 102), "v_rad": (0.0, 20.0, 40.0), "bc": (5.0, 5.0, 5.0), "snr": (80.0, 90.0, 50.0)}


@pytest.mark.parametrize(("layout", "size"), [("dr17", 24_696), ("sdss5", 19_644)])
def test_one_row_per_visit(layout: str, size: int) -> None:
    of = summary(layout, **VISITS)
    table = visit_table(of)
    assert (len(table), table.itemsize) == (3, size)
    names = [of.layout.visit_file(of.star, visit) for visit in of.visits]
    assert [name.decode() for name in table["filename"]] == names
    assert len(set(names)) == 3
    assert table["vhelio"].tolist() == [0.0, 20.0, 40.0]
    np.testing.assert_allclose(table["vhelio"] - table["vrel"], 5.0)
    np.testing.assert_allclose(table["snr"], [57.6, 64.8, 36.0])


def test_the_peak_is_at_the_velocity() -> None:
    row = visit_table(summary("dr17", **VISITS))[2]
    assert row["x_ccf"][np.argmax(row["ccf"])] == pytest.approx(35.0, abs=2.0)


def test_the_legacy_table_is_one_row_of_vectors() -> None:
    table = visit_table(summary("legacy", **VISITS))
    assert len(table) == 1
    assert table["FILE"].shape == (1, 3)
    assert visit_table(summary("legacy", fiber=range(6))).itemsize == 29_508
    assert visit_table(summary("legacy", fiber=(7,)))["FILE"].shape == (1,)


def test_the_coadd_has_its_own_fit() -> None:
    of = summary("dr17", **VISITS)
    table = coadd_table(of)
    assert (len(table), table.itemsize) == (1, 7_992)
    assert table["snr"][0] == of.snr > 100.0
    assert np.isnan(table["jd"][0])
