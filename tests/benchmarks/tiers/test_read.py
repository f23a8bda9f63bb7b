"""Tier read: every reader and layout has a figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import inputs
from benchmarks.tiers import read


@pytest.mark.slow
def test_every_figure_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_DIFFERENT", 2)
    monkeypatch.setattr(read, "_READERS", (0,))
    results = read.measure(tmp_path, 1, 4)
    assert len({result.name for result in results}) == 9
    assert all(result.value > 0 for result in results)
    coadds, everything = (
        next(r for r in results if r.name == f"dr17 {name} direct") for name in ("star", "star+visit")
    )
    # Megabytes count one row of a coadd and six of a whole file.
    ratio = (everything.more["mb_per_s"] / everything.value) / (coadds.more["mb_per_s"] / coadds.value)  # type: ignore[operator]
    assert ratio == pytest.approx(6, rel=0.01)
