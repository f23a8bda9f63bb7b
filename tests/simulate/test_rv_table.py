"""The tables of velocities: as many rows, bytes and columns as in archive files, and peaks at the velocities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from apnet_fast.simulate.layouts import LAYOUTS
from apnet_fast.simulate.rv_table import coadd_table, visit_table
from tests.simulate.simulated_visits import STAR, VISIT

VISITS = [replace(VISIT, mjd=58_000 + n, fiber=100 + n, v_rad=20.0 * n, bc=5.0) for n in range(3)]


@pytest.mark.parametrize(("layout", "size"), [("dr17", 24_696), ("sdss5", 19_644)])
def test_one_row_per_visit(layout: str, size: int) -> None:
    table = visit_table(STAR, VISITS, LAYOUTS[layout])
    assert (len(table), table.itemsize) == (3, size)
    names = [LAYOUTS[layout].visit_file(STAR, visit) for visit in VISITS]
    assert [name.decode() for name in table["filename"]] == names
    assert len(set(names)) == 3
    assert table["vhelio"].tolist() == [0.0, 20.0, 40.0]
    np.testing.assert_allclose(table["vhelio"] - table["vrel"], 5.0)


def test_the_peak_is_at_the_velocity() -> None:
    row = visit_table(STAR, VISITS, LAYOUTS["dr17"])[2]
    assert row["x_ccf"][np.argmax(row["ccf"])] == pytest.approx(35.0, abs=2.0)


def test_the_legacy_table_is_one_row_of_vectors() -> None:
    table = visit_table(STAR, VISITS, LAYOUTS["legacy"])
    assert len(table) == 1
    assert table["FILE"].shape == (1, 3)
    assert visit_table(STAR, VISITS * 2, LAYOUTS["legacy"]).itemsize == 29_508
    assert visit_table(STAR, VISITS[:1], LAYOUTS["legacy"])["FILE"].shape == (1,)


def test_the_coadd_has_its_own_fit() -> None:
    table = coadd_table(STAR, 77.0)
    assert (len(table), table.itemsize) == (1, 7_992)
    assert table["snr"][0] == 77.0
