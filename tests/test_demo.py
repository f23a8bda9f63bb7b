"""The demo, with a small network in place of the full one."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from apnet_fast import demo
from apnet_fast.networks import shipped


@pytest.mark.slow
def test_demo_shows_stars_and_says_where_the_files_are(
    tmp_path: Path, small_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(shipped.SHIPPED, "demo", small_weights)
    monkeypatch.setattr(demo, "_STARS", 4)
    for _ in range(2):  # the second time finds everything there
        result = CliRunner().invoke(demo.app, ["--output", str(tmp_path)], catch_exceptions=False)
        assert result.exit_code == 0
        assert result.output.count("│ 2M") == 12
        for release in ("dr14", "dr17", "sdss5"):
            assert release in result.output
        assert "recovered - true" in result.output
        assert (tmp_path / "kiel.png").stat().st_size > 10_000
        for name in ("Star", "Visit"):
            assert list(tmp_path.glob(f"catalogues/astraAll{name}APOGEENet-*.fits"))
