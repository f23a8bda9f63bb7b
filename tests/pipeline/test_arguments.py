"""Defaults that depend on the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apnet_fast.pipeline.arguments import default_readers, default_shard_size
from apnet_fast.spectra.pack import Manifest


@pytest.mark.parametrize(
    ("cores", "devices", "readers"),
    [(2, "cpu", 0), (64, "cpu,cpu", 0), (2, "cuda:0", 0), (8, "cuda:0", 4), (8, "cuda:0,cuda:1", 2), (64, "cuda", 4)],
)
def test_readers(cores: int, devices: str, readers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)), raising=False)
    assert default_readers(devices) == readers


def test_shards_are_small_where_all_inputs_are_packs(tmp_path: Path) -> None:
    packs, tree = [tmp_path / "one", tmp_path / "two"], tmp_path / "tree"
    for folder in (*packs, tree):
        folder.mkdir()
    for folder in packs:
        Manifest("", 0, {}, 256).write(folder)
    first, second = map(str, packs)
    assert default_shard_size("triton", [first, second]) == 20
    assert default_shard_size("triton", [first, str(tree)]) == default_shard_size("triton", [str(tree)]) == 1000
    assert default_shard_size("cpu", [first, "@list.txt"]) == default_shard_size("cpu") == 32
