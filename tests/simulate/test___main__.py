"""The command: the same bytes as the call, and one message for wrong words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from apnet_fast.simulate import simulate_tree
from apnet_fast.simulate.__main__ import app
from tests.simulate.simulated_trees import contents


def test_the_command_writes_what_the_call_writes(tmp_path: Path) -> None:
    arguments = ["--stars", "2", "--visits", "1", "--snr", "50", "--seed", "9", "--layout", "legacy"]
    result = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "cli")])
    assert result.exit_code == 0, result.output
    assert "2 stars, layout legacy" in result.output
    expected = simulate_tree(tmp_path / "call", stars=2, visits=1, snr=50.0, seed=9, layout="legacy")
    assert contents(tmp_path / "cli") == contents(expected)


def test_a_wrong_command_line_ends_with_one_message(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "apnet_fast.simulate", "--stars", "1", "--layout", "dr5"]
    result = subprocess.run([*command, "--output", str(tmp_path)], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert "dr5" in result.stderr
    assert "Traceback" not in result.stderr
