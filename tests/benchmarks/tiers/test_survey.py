"""Tier survey: synthetic shards that the command takes for its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import inputs
from benchmarks.tiers import survey
from tests.benchmarks.tiers.small import small_weights


@pytest.mark.slow
def test_every_figure_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_DIFFERENT", 2)
    monkeypatch.setattr(survey, "_DIFFERENT", 4)
    monkeypatch.setattr(survey, "_WORKERS", 3)
    monkeypatch.setattr(survey, "_SHARDS", 20)
    monkeypatch.setattr(survey, "weights", small_weights)
    planning, resuming, catalogues, memory, overhead, scheduling = survey.measure(tmp_path, 1, 1200)
    assert planning.more["files"] == resuming.more["files"] == 1200
    # A file stands for a coadd and 3.18 visits.
    assert abs(float(str(catalogues.more["rows"])) - 1200 * 4.18) < 5
    assert set(memory.more) == {"mb_at_120_files", "mb_at_1200_files"}
    assert scheduling.more["shards"] == 20
    assert all(result.value > 0 for result in (planning, resuming, catalogues, memory, scheduling))
    assert set(overhead.more) == {"ms", "writing_ms", "catalogues_ms"}
