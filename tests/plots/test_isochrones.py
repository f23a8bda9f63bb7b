"""Isochrones are read from PARSEC tables; other files are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from apnet_fast.plots.isochrones import read_isochrones
from apnet_fast.plots.kiel import draw_kiel
from apnet_fast.support.errors import UsageError
from tests.plots.samples import ISOCHRONES, stars


def test_isochrones_of_parsec(tmp_path: Path) -> None:
    (tmp_path / "iso.dat").write_text(ISOCHRONES)
    young, old = read_isochrones(tmp_path / "iso.dat")
    assert (young.log_age, young.m_h, old.log_age, old.m_h) == (9.0, 0.0, 9.9, -0.5)
    np.testing.assert_allclose(young.teff, [10**3.5, 10**3.6])
    figure = draw_kiel(stars(), isochrones=[young, old], log_teff=True)
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() != "None"]
    assert [line.get_xdata()[0] for line in lines] == pytest.approx([3.5, 3.53])
    assert "log age 9.90, [M/H] -0.50" in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_isochrones_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_text("1 2 3\n")
    with pytest.raises(UsageError, match="no isochrones"):
        read_isochrones(tmp_path / "a.dat")
    (tmp_path / "b.dat").write_text(ISOCHRONES + "0.0152 0.0 9.00 x 3.6 4.7 1 2\n")
    with pytest.raises(UsageError, match="line 9"):
        read_isochrones(tmp_path / "b.dat")
    with pytest.raises(UsageError, match="cannot read"):
        read_isochrones(tmp_path / "none.dat")


@pytest.mark.timeout(30)
def test_what_is_no_file_is_refused_and_not_waited_for(put_no_file: Callable[[Path], None], tmp_path: Path) -> None:
    put_no_file(tmp_path / "iso.dat")
    with pytest.raises(UsageError, match=r"cannot read the isochrones: .*not a regular file"):
        read_isochrones(tmp_path / "iso.dat")
