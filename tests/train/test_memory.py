"""Freed memory is kept, and nothing happens without glibc."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import pytest

from apnet_fast.train import memory


def test_both_thresholds_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(memory.sys, "platform", "linux")
    memory.keep_freed_memory()
    assert calls == [(-3, 2**31 - 1), (-1, 2**31 - 1)]


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    asked: list[object] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name: asked.append(name) or SimpleNamespace())
    monkeypatch.setattr(memory.sys, "platform", platform)
    memory.keep_freed_memory()
    assert len(asked) == (platform == "linux")
