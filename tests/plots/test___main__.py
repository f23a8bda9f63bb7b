"""The commands `plots kiel` and `plots curves`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from apnet_fast.plots.__main__ import app
from apnet_fast.plots.kiel import read_stars
from apnet_fast.support.errors import UsageError
from tests.plots.samples import EPOCHS, ISOCHRONES
from tests.validate.catalogues import changed, visit_table, written


def test_kiel_writes_every_format(tmp_path: Path) -> None:
    table = visit_table(0, stars=40)
    teff = table["teff"].to_numpy().copy()
    teff[0] = np.nan
    path = written(changed(table, teff=teff), tmp_path / "c.parquet")
    assert len(read_stars(path)) == len(table) - 1
    (tmp_path / "iso.dat").write_text(ISOCHRONES)
    for name in ("k.png", "k.svg", "k.pdf"):
        done = CliRunner().invoke(
            app, ["kiel", str(path), "-o", str(tmp_path / name), "--isochrone", str(tmp_path / "iso.dat"), "--log-teff"]
        )
        assert done.exit_code == 0, done.output
        assert (tmp_path / name).stat().st_size > 5000
    with pytest.raises(UsageError, match="unknown style"):
        raise CliRunner().invoke(app, ["kiel", str(path), "-o", "k.png", "--style", "x"]).exception  # type: ignore[misc]
    with pytest.raises(UsageError, match="no row has labels"):
        read_stars(written(changed(table, teff=np.full(len(table), np.nan)), tmp_path / "d.parquet"))


def test_curves_writes_a_figure(tmp_path: Path) -> None:
    (tmp_path / "curves.json").write_text(json.dumps({"epochs": EPOCHS}))
    words = ["curves", str(tmp_path / "curves.json"), "--output", str(tmp_path / "curves.png")]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert "3 epochs" in result.output
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
