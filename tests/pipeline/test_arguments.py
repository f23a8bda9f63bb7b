"""Defaults that depend on the machine."""

from __future__ import annotations

import os

import pytest

from apnet_fast.pipeline.arguments import default_readers


@pytest.mark.parametrize(
    ("cores", "devices", "readers"),
    [(2, "cpu", 0), (64, "cpu,cpu", 0), (2, "cuda:0", 0), (8, "cuda:0", 4), (8, "cuda:0,cuda:1", 2), (64, "cuda", 4)],
)
def test_readers(cores: int, devices: str, readers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)), raising=False)
    assert default_readers(devices) == readers
