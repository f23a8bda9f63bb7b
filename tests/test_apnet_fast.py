"""The names of the package: seen before first use, those of the pages, and known to type checkers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import apnet_fast


def test_the_public_names_are_seen() -> None:
    """By dir, help and tab completion, before anything was used."""
    code = (
        "import sys, pydoc, apnet_fast; names = dir(apnet_fast); assert 'torch' not in sys.modules;"
        "print(set(apnet_fast.__all__) <= set(names)); text = pydoc.render_doc(apnet_fast, renderer=pydoc.plaintext);"
        "print('class ApogeeNet' in text, 'run_survey(' in text, 'load(weights' in text);"
        "from apnet_fast import backends; print({'arrays', 'astra', 'stream'} <= set(dir(backends)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["True"] * 5, done.stderr


def test_dir_shows_the_names_of_the_pages_and_no_others() -> None:
    page = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
    rooms = set(re.findall(r":: apnet_fast\.([a-z_]+)\.", page))
    assert set(dir(apnet_fast)) == rooms | set(apnet_fast.__all__)
    code = "import apnet_fast; print(*(getattr(apnet_fast, name).__name__ for name in " + repr(sorted(rooms)) + "))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == [f"apnet_fast.{room}" for room in sorted(rooms)], done.stderr
    with pytest.raises(AttributeError, match="no attribute 'backend'"):
        apnet_fast.backend  # type: ignore[attr-defined]  # noqa: B018


TYPED = """
import apnet_fast
import numpy as np

net = apnet_fast.ApogeeNet.load("w.safetensors")
reveal_type(net)
reveal_type(net.predict(np.ones(8575), np.ones(8575)))
reveal_type(apnet_fast.run_survey)
apnet_fast.run_survey("tree", draws="many")
apnet_fast.run_survey("tree", reciep="dr19")
apnet_fast.ApogeNet
net.predictt
"""


@pytest.mark.slow
def test_the_type_checker_sees_the_public_names_and_misspelt_ones(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(TYPED)
    (tmp_path / "mypy.ini").write_text("[mypy]\nfollow_imports = silent\nignore_missing_imports = True\n")
    root = str(Path(apnet_fast.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-incremental", "--config-file", "mypy.ini", "user.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": root},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert 'Revealed type is "apnet_fast.api.ApogeeNet"' in done.stdout, done.stdout + done.stderr
    assert "numpy.ndarray[" in done.stdout
    assert "RunSummary" in done.stdout
    assert 'Module has no attribute "ApogeNet"' in done.stdout
    assert 'Argument "draws" to "run_survey" has incompatible type "str"' in done.stdout
    assert 'Unexpected keyword argument "reciep" for "run_survey"' in done.stdout
    assert '"ApogeeNet" has no attribute "predictt"' in done.stdout
    assert done.stdout.count("error:") == 4
