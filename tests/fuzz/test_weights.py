"""The fuzz of weights files notices weights that are not those that were written."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from apnet_fast.networks import checkpoint
from apnet_fast.support.errors import WeightsError
from tests.fuzz import weights
from tests.fuzz.case import WrongAnswer


def wrong_answers(base: Any, folder: Path, number: int) -> list[str]:
    found = []
    for seed in range(number):
        case = weights._make(random.Random(seed), base, folder)
        try:
            weights._judge(base, case)
        except WeightsError:
            continue
        except WrongAnswer as wrong:
            found.append(f"{case.what}: {wrong}")
    return found


def test_changed_tensors_and_words_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = weights._prepare(tmp_path)
    assert wrong_answers(base, tmp_path, 300) == []
    monkeypatch.setattr(checkpoint, "_verify", lambda *arguments: None)
    found = wrong_answers(base, tmp_path, 300)
    assert any("of the tensors" in wrong for wrong in found)
    assert any("of the header: origin is" in wrong for wrong in found)
