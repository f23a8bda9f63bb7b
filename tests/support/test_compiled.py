"""Compiled code is kept on disk until anything that it reaches changes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from apnet_fast.support.compiled import reached_digest

HELPER = """
import numpy as np
from apnet_fast.support.compiled import compiled

TABLE = np.array([1.0, 2.0])
SCALE = 3.0

@compiled
def scaled(x):
    return SCALE * x
"""
USER = """
from apnet_fast.support.compiled import compiled
from NAME_helper import TABLE, scaled

OFFSET = 0.5

@compiled
def total(x):
    return scaled(x) + TABLE[1] + OFFSET
"""

Make = Callable[..., ModuleType]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A module that calls a compiled function of another file, with some texts replaced."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, **replaced: str) -> ModuleType:
        texts = {f"{name}_helper": HELPER, f"{name}_user": USER.replace("NAME", name)}
        for file, text in texts.items():
            for old, new in replaced.items():
                text = text.replace(old, new)
            (tmp_path / f"{file}.py").write_text(text)
            sys.modules.pop(file, None)
        importlib.invalidate_caches()
        return importlib.import_module(f"{name}_user")

    return write


def digest_of(module: ModuleType, name: str) -> str:
    """The digest of its function, without the names of its modules."""
    function = module.total.py_func
    assert isinstance(module.total(np.float64(2.0)), float)
    return reached_digest(function)


def test_the_same_code_has_the_same_digest(make: Make) -> None:
    assert digest_of(make("same"), "same") == digest_of(make("same"), "same")


@pytest.mark.parametrize(
    "replaced",
    [{"SCALE = 3.0": "SCALE = 4.0"}, {"SCALE * x": "x * SCALE"}, {"2.0]": "2.5]"}, {"OFFSET = 0.5": "OFFSET = 0.6"}],
    ids=["constant of a called function", "code of a called function", "array", "own constant"],
)
def test_whatever_a_function_reaches_counts(replaced: dict[str, str], make: Make) -> None:
    assert digest_of(make("some"), "some") != digest_of(make("some", **replaced), "some")


def test_what_it_does_not_reach_does_not_count(make: Make) -> None:
    more = {"SCALE = 3.0": "SCALE = 3.0\nUNUSED = 1"}
    assert digest_of(make("other"), "other") == digest_of(make("other", **more), "other")


def test_a_changed_constant_gives_the_new_result(make: Make) -> None:
    assert make("value").total(1.0) == 5.5
    assert make("value", **{"SCALE = 3.0": "SCALE = 4.0"}).total(1.0) == 6.5
