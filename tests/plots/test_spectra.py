"""Labels and errors are read from rows with finite labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from apnet_fast.plots.spectra import read_labelled_rows
from apnet_fast.support.errors import UsageError
from tests.validate.catalogues import changed, visit_table, written


def test_rows_without_labels_are_left_out(tmp_path: Path) -> None:
    table = visit_table(0, stars=20)
    rows = len(table)
    table = table.append_column("snr", pa.array(np.arange(rows, dtype=np.float32)))
    logg = table["logg"].to_numpy().copy()
    logg[3] = np.nan
    path = written(changed(table, logg=logg, flag_bad=np.arange(rows) < 5), tmp_path / "c.parquet")
    found = read_labelled_rows(path)
    assert len(found) == rows - 1
    assert 3.0 not in found.snr
    assert found.bad.sum() == 4
    np.testing.assert_array_equal(found.raw_errors["fe_h"], np.delete(table["raw_e_fe_h"].to_numpy(), 3))
    with pytest.raises(UsageError, match="columns of labels and errors: snr"):
        read_labelled_rows(written(table.drop_columns(["snr"]), tmp_path / "d.parquet"))
    with pytest.raises(UsageError, match="no row has labels"):
        read_labelled_rows(written(changed(table, teff=np.full(rows, np.nan)), tmp_path / "e.parquet"))
