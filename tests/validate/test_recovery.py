"""Recovered minus true labels: medians and scatters are robust, and a catalogue is matched to its truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.support.errors import UsageError
from apnet_fast.validate.recovery import catalogue_recovery, recovery, recovery_lines


def test_bias_and_scatter_are_robust(rng: np.random.Generator) -> None:
    n = 4000
    true = np.stack([rng.uniform(4000, 6000, n), rng.uniform(1, 5, n), rng.normal(0, 0.2, n)], axis=1)
    shifts = [0.02 * true[:, 0] * rng.normal(size=n), 0.1 + 0.2 * rng.normal(size=n), np.zeros(n)]
    recovered = true + np.stack(shifts, axis=1)
    recovered[:40] = 1e6  # outliers
    recovered[40] = np.nan
    errors = np.tile([100.0, 0.2, 0.1], (n, 1))
    snr = np.where(np.arange(n) < n // 2, 30.0, 300.0)
    everything, low, high = recovery(recovered, errors, true, snr)
    assert [row.name for row in (everything, low, high)] == ["all", "S/N 0 to 50", "S/N above 200"]
    assert everything.n == n - 1
    assert everything.scatter[0] == pytest.approx(0.02, rel=0.1)
    assert everything.bias[1] == pytest.approx(0.1, abs=0.02)
    assert everything.scatter[1] == pytest.approx(0.2, rel=0.1)
    assert everything.scatter[2] == 0.0
    assert everything.raw_error[1] == pytest.approx(0.2)
    assert low.n + high.n == everything.n
    assert "+0.1" in recovery_lines([everything])[1]


def test_a_catalogue_meets_its_truth(tmp_path: Path) -> None:
    columns = {"teff": [5000.0, 4040.0], "logg": [4.0, 2.5], "fe_h": [0.0, -0.5]}
    errors = {f"raw_e_{name}": [1.0, 1.0] for name in columns}
    catalogue, truth = tmp_path / "catalogue.parquet", tmp_path / "truth.parquet"
    pq.write_table(pa.table({"obj": ["A", "B"], "snr": [100.0, 100.0], **columns, **errors}), catalogue)
    pq.write_table(pa.table({"obj": ["B", "C"], "teff": [4000.0, 1.0], "logg": [2.0, 1.0], "fe_h": [-0.5, 0]}), truth)
    everything = catalogue_recovery(catalogue, [truth])[0]
    assert everything.n == 1
    assert everything.bias == pytest.approx((0.01, 0.5, 0.0))
    pq.write_table(pa.table({"obj": ["D"], "teff": [4000.0], "logg": [2.0], "fe_h": [0.0]}), truth)
    with pytest.raises(UsageError, match="true label"):
        catalogue_recovery(catalogue, [truth])
