"""The command `recovery` prints how well a catalogue recovers true labels."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from apnet_fast.recovery import app
from apnet_fast.support.errors import UsageError


def test_labels_are_found_as_in_training(tmp_path: Path) -> None:
    columns = {"teff": [5000.0, 4040.0], "logg": [4.0, 2.5], "fe_h": [0.0, -0.5]}
    errors = {f"raw_e_{name}": [1.0, 1.0] for name in columns}
    catalogue, truth = tmp_path / "catalogue.parquet", tmp_path / "truth.parquet"
    paths = {"path": ["/there/a.fits", "/there/b.fits"]}
    pq.write_table(pa.table({"obj": ["A", "A"], **paths, "snr": [100.0, 100.0], **columns, **errors}), catalogue)
    spec = {"path": ["b.fits"], "TEFF_SPEC": [4000.0], "logg": [2.0], "fe_h": [-0.5]}
    pq.write_table(pa.table(spec), truth)
    words = [str(catalogue), "--labels", str(truth), "--column", "teff=teff_spec"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert "+1.00 ±" in result.output
    with pytest.raises(UsageError, match="NAME=COLUMN"):
        CliRunner().invoke(app, [*words[:-1], "teff"], catch_exceptions=False)
