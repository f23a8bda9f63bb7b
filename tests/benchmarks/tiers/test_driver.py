"""Tier driver: rates by readers, and the memory of two runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import inputs
from benchmarks.tiers import driver, end_to_end
from tests.benchmarks.tiers.small import small_weights


@pytest.mark.slow
def test_every_figure_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_DIFFERENT", 2)
    monkeypatch.setattr(driver, "_READERS", (0,))
    monkeypatch.setattr(driver, "_FEW", 10)
    monkeypatch.setattr(driver, "_MANY", 20)
    for module in (driver, end_to_end):
        monkeypatch.setattr(module, "weights", small_weights)
    rate, memory = driver.measure(tmp_path, 1, 4)
    assert rate.name == "null engine, 0 readers"
    assert rate.value > 0
    assert set(memory.more) == {"mb_at_10", "mb_at_20"}
    assert 50 < memory.more["mb_at_10"] < 2000  # type: ignore[operator]
