"""The examples of docs/backends.md run as they stand, one after another, without a warning."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "backends.md"
# Needs Astra.
NOT_RUN = "@task"


def test_examples_run_as_they_stand(
    small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "random.safetensors").write_bytes(small_weights.read_bytes())
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {"__name__": "__main__"}
    said = []
    for example in examples:
        if NOT_RUN in example:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(example, names)
        said.append(capsys.readouterr().out)
    assert len(said) >= 5
    assert len(said[-1].splitlines()) == 6
    assert "no flux" in said[-1].splitlines()[3]
