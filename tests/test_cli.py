"""The console script has every command under its verb."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from apnet_fast import _version
from apnet_fast.cli import app

VERBS = [
    "demo", "doctor", "documents", "flags", "pack", "plots", "predict", "recovery", "report", "reprocess", "simulate",
    "train", "tune", "validate", "weights",
]  # fmt: skip


def test_every_verb_is_there() -> None:
    command = get_command(app)
    assert sorted(command.commands) == VERBS  # type: ignore[attr-defined]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_describes_itself(verb: str) -> None:
    done = CliRunner().invoke(app, [verb, "--help"])
    assert done.exit_code == 0
    assert f"{verb} [OPTIONS]" in done.output


def test_groups_keep_the_names_of_their_commands() -> None:
    groups = get_command(app).commands  # type: ignore[attr-defined]
    assert {name: sorted(groups[name].commands) for name in ("weights", "validate", "plots", "documents")} == {
        "weights": ["check", "export", "import", "random"],
        "validate": ["compare", "repeats"],
        "plots": ["curves", "kiel"],
        "documents": ["columns", "flags"],
    }


def test_the_version_and_the_flags() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"apnet_fast {_version.__version__}\n"
    assert "NO_RESULT" in CliRunner().invoke(app, ["flags"]).output


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "apnet_fast", "--version"], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, f"apnet_fast {_version.__version__}\n")
