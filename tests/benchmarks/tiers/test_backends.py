"""Tier backends: two rates and their ratio, of rows that were looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.tiers import backends
from tests.benchmarks.tiers.small import small_weights


def test_two_rates_and_their_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "weights", small_weights)
    predict, generator = backends.measure(tmp_path, 2, 5)
    assert predict.name == "net.predict"
    assert predict.more == {"spectra": 5}
    assert generator.name == "backends.astra.apogeenet"
    assert 0 < generator.more["ratio"] < 100  # type: ignore[operator]


def test_rows_without_labels_are_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "weights", small_weights)
    monkeypatch.setattr(backends, "made_up_spectra", lambda n: (np.zeros((n, 8575)), np.ones((n, 8575))))
    with pytest.raises(RuntimeError, match="row 0"):
        backends.measure(tmp_path, 1, 2)
