"""The command `report` writes one HTML file."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from apnet_fast.report.__main__ import app
from apnet_fast.support.errors import UsageError
from tests.report.html_pages import checked
from tests.report.runs import RECORD, run_folder


@pytest.mark.usefixtures("quick")
def test_a_report_compares_with_an_earlier_run(tmp_path: Path) -> None:
    run_folder(tmp_path / "new", RECORD)
    run_folder(tmp_path / "old", RECORD, seed=1)
    words = [str(tmp_path / "new"), "--output", str(tmp_path / "r.html"), "--against", str(tmp_path / "old")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    page = checked((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "Change since the earlier catalogue" in page.words
    with pytest.raises(UsageError, match="no such folder"):
        CliRunner().invoke(app, [str(tmp_path / "new"), "-o", str(tmp_path / "no" / "r.html")], catch_exceptions=False)
