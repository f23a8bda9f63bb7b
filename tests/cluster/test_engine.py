"""The engine process: one device of those it sees, and a folder that it must share with the coordinator."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from apnet_fast.cluster import engine, node
from apnet_fast.cluster.messages import Kind, Message
from apnet_fast.cluster.orders import Orders
from apnet_fast.support.errors import UsageError
from tests.pipeline.runs import arguments


@pytest.mark.parametrize(
    ("visible", "local", "device"), [(0, "0", None), (1, "0", "cuda:0"), (4, "3", "cuda:3"), (2, "3", "cuda:1")]
)
def test_one_engine_drives_one_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, visible: int, local: str, device: str | None
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: visible)
    monkeypatch.setenv("SLURM_LOCALID", local)
    asked = arguments(["a.fits"], Path("demo"), tmp_path, device=None, engine="auto", gpus="0,1")
    assert engine._on_one_device(asked).device == device
    named = arguments(["a.fits"], Path("demo"), tmp_path, device="cpu")
    assert engine._on_one_device(named) == named


@pytest.mark.slow
def test_a_folder_that_is_not_shared_is_refused(tmp_path: Path) -> None:
    orders = Orders(arguments(["a.fits"], Path("demo"), tmp_path), os.getcwd(), ".team-of-somebody-else")
    started = node.EngineProcess(pickle.dumps(orders), 1)
    try:
        answer = started.ready(120.0)
        assert answer.kind == Kind.FAILED
        error = pickle.loads(answer.body)
        assert isinstance(error, UsageError)
        assert "does not see the output folder" in str(error)
        assert started.compute(0, b"", 1.0) == Message.decoded(answer.encoded())
    finally:
        started.close()
