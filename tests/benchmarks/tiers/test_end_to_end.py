"""Tier end-to-end: a whole run has a rate and its shares of waiting."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import inputs
from benchmarks.tiers import end_to_end
from tests.benchmarks.tiers.small import small_weights


@pytest.mark.slow
def test_a_whole_run_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_DIFFERENT", 2)
    monkeypatch.setattr(end_to_end, "weights", small_weights)
    (result,) = end_to_end.measure(tmp_path, 1, 1)
    assert result.unit == "spectra/s"
    assert result.value > 0
    assert {"reading and writing", "loading and catalogues", "stage_seconds"} == set(result.more)
