"""Which engine, devices and precision a run gets, with or without Triton and GPUs; what cannot be had is named."""

from __future__ import annotations

import sys

import pytest
import torch

from apnet_fast import engines
from apnet_fast.engines import choose_devices, create_engine, default_precision, find_engine
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import RECIPES
from apnet_fast.support.errors import UsageError


def test_engines_by_name(small_checkpoint: Checkpoint) -> None:
    assert create_engine("auto", small_checkpoint, RECIPES["dr19"]).name == "cpu"
    with pytest.raises(UsageError, match=r"auto \| triton \| cpu \| reference \| null"):
        create_engine("gpu", small_checkpoint, RECIPES["dr19"])


def test_without_triton_it_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "apnet_fast.engines.triton", raising=False)
    monkeypatch.setitem(sys.modules, "triton", None)
    for name in [name for name in sys.modules if name.startswith("apnet_fast.kernels")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(UsageError, match="the package triton"):
        find_engine("triton", "fp16", "cuda", "v3")


@pytest.mark.parametrize(
    ("gpus", "device", "engine", "expected"),
    [
        ("0", None, "auto", "cuda:0"),
        ("1, 0", None, "triton", "cuda:1,cuda:0"),
        (None, "cpu", "auto", "cpu"),
        (None, "cuda:0, cuda:1", "auto", "cuda:0,cuda:1"),
    ],
)
def test_devices_as_asked_for(gpus: str | None, device: str | None, engine: str, expected: str) -> None:
    assert choose_devices(gpus, device, engine, "v3") == expected


@pytest.mark.parametrize(("gpus", "device"), [("0,0", None), ("a", None), ("", None), ("0", "cpu")])
def test_devices_that_make_no_sense(gpus: str, device: str | None) -> None:
    with pytest.raises(UsageError, match="--gpus"):
        choose_devices(gpus, device, "auto", "v3")


@pytest.mark.parametrize("device", ["banana", "CPU", "cpu:0", "cuda:x", "cuda:", "", "cpu,", "cpu,gpu"])
@pytest.mark.parametrize("engine", ["auto", "cpu", "triton"])
def test_words_that_are_no_devices_are_named_before_any_engine(device: str, engine: str) -> None:
    wrong = device.split(",")[-1]
    with pytest.raises(UsageError) as raised:
        choose_devices(None, device, engine, "v3")
    assert str(raised.value).startswith(f"no such device; got {wrong!r}; expected cpu | cuda:0 | cuda:1 | ...")
    assert "Remedy: --device cpu, or APNET_FAST_DEVICE=cpu" in str(raised.value)


def test_devices_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(engines, "find_spec", lambda name: object())
    assert choose_devices(None, None, "auto", "v3") == "cuda:0,cuda:1"
    assert choose_devices(None, None, "reference", "v3") == "cuda:0"
    assert choose_devices(None, None, "cpu", "v3") == "cpu"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_devices(None, None, "auto", "v3") == "cpu"


def test_without_triton_a_visible_gpu_is_not_chosen_for_v3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    assert choose_devices(None, None, "auto", "v3") == "cpu"
    assert choose_devices(None, None, "auto", "v2") == "cuda:0"
    assert choose_devices("0", None, "auto", "v3") == "cuda:0"


@pytest.mark.parametrize(
    ("engine", "device", "network", "expected"),
    [
        ("triton", "cpu", "v3", "fp16"),
        ("auto", "cuda:0", "v3", "fp16"),
        ("auto", "cpu", "v3", "fp32"),
        ("cpu", "cpu", "v3", "fp32"),
        ("reference", "cuda:0", "v3", "fp32"),
        ("auto", "cuda:0", "v2", "fp32"),
    ],
)
def test_only_the_triton_engine_computes_in_fp16_by_default(
    engine: str, device: str, network: str, expected: str
) -> None:
    assert default_precision(engine, device, network) == expected
