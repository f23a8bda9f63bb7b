"""`python -m apnet_fast.doctor`: all sections, and an exit code that tells."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from apnet_fast.doctor import selfcheck
from apnet_fast.doctor.__main__ import app
from apnet_fast.doctor.selfcheck import Verdict
from apnet_fast.support.errors import UsageError


@pytest.mark.slow
def test_a_report_has_every_section_and_can_be_written(tmp_path: Path) -> None:
    file = tmp_path / "doctor.txt"
    done = subprocess.run(
        [sys.executable, "-m", "apnet_fast.doctor", "-o", file],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    titles = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert titles == [
        "Versions", "Processor", "GPUs", "Caches", "Environment", "Engines, against plain float64", "all is well",
    ]  # fmt: skip
    assert file.read_text(encoding="utf-8") == done.stdout
    with pytest.raises(UsageError, match="no such folder"):
        CliRunner().invoke(app, ["-o", str(tmp_path / "a" / "b")], catch_exceptions=False)


def test_a_failed_check_has_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def verdicts() -> Iterator[Verdict]:
        yield Verdict("one", True, "right", 0.1)
        yield Verdict("other", False, "largest error 1", 0.1)

    monkeypatch.setattr(selfcheck, "verdicts", verdicts)
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 1
    assert "ok      one: right" in done.stdout
    assert "FAILED  other: largest error 1" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 failed: please report it")
