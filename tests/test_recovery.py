"""`python -m apnet_fast.recovery`: a catalogue and its truth become lines."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from apnet_fast.recovery import app
from apnet_fast.support.errors import UsageError


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Two stars that are 100 K too hot."""
    columns = {"teff": [5100.0, 4140.0], "logg": [4.0, 2.5], "fe_h": [0.0, -0.5], "snr": [80.0, 90.0]}
    raw = {f"raw_e_{name}": [1.0, 1.0] for name in ("teff", "logg", "fe_h")}
    table = pa.table({"obj": ["a", "b"], "path": ["x/a.fits", "x/b.fits"], **columns, **raw})
    pq.write_table(table, tmp_path / "stars.parquet")
    truth = {"teff": [5000.0, 4040.0], "logg": [4.0, 2.5], "fe_h": [0.0, -0.5]}
    pq.write_table(pa.table({"star": ["a", "b"], **truth}), tmp_path / "truth.parquet")
    return tmp_path / "stars.parquet"


def test_a_column_may_have_another_name(catalogue: Path) -> None:
    words = [str(catalogue), "--labels", str(catalogue.with_name("truth.parquet"))]
    done = CliRunner().invoke(app, [*words, "--column", "obj=star"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "recovered - true" in done.output
    with pytest.raises(UsageError):
        CliRunner().invoke(app, words, catch_exceptions=False)
