"""The notebook of the site: its code runs, without a kernel, and its stored output is that of a complete run."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "first-star.ipynb"


def cells(kind: str) -> list[dict[str, Any]]:
    """Cells of a kind, in order."""
    read = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return [cell for cell in read["cells"] if cell["cell_type"] == kind]


def code() -> str:
    """The code of all cells, as a script."""
    return "\n\n".join("".join(cell["source"]) for cell in cells("code"))


@pytest.mark.slow
def test_the_code_runs(tmp_path: Path) -> None:
    """With fewer stars than the notebook; its own assertions compare the catalogue with the single star."""
    few = code().replace("stars=24", "stars=4")
    assert few != code()
    after = """
assert len(stars) == 4 and summary.rows == {"star": 4, "visit": 4}, summary.rows
assert matched.sum() == len(good) > 0
print("ran to the end", len(stars))
"""
    script = tmp_path / "notebook.py"
    script.write_text(few + after, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", script],
        cwd=tmp_path, env={**os.environ, "MPLBACKEND": "agg"}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "ran to the end 4"


def test_its_own_assertions_can_fail() -> None:
    """They are there, so that a run that ends shows something."""
    assert sum(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(code()))) >= 3


def test_the_stored_output_is_of_one_complete_run() -> None:
    """Every cell was run, in order, none raised, and both figures are there."""
    run = cells("code")
    assert [cell["execution_count"] for cell in run] == list(range(1, len(run) + 1))
    outputs = [output for cell in run for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result"}
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    said = "".join("".join(output.get("text", ())) for output in outputs)
    assert "24 of 24 matched" in said
    assert "Warning" not in said


def test_no_path_of_a_machine_is_stored() -> None:
    text = "".join("".join(output.get("text", ())) for cell in cells("code") for output in cell["outputs"])
    assert "/tmp/" not in text
    assert str(Path.home()) not in text
