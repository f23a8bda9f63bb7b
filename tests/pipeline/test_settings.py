"""Choices that a run makes when its arguments leave them open."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.v2 import ArchitectureV2
from apnet_fast.pipeline.arguments import RunArguments
from apnet_fast.pipeline.settings import default_readers, default_shard_size, resolve_settings
from apnet_fast.spectra.pack import Manifest
from apnet_fast.support.errors import UsageError


@pytest.mark.parametrize(
    ("cores", "devices", "readers"),
    [(2, "cpu", 0), (64, "cpu,cpu", 0), (2, "cuda:0", 0), (8, "cuda:0", 4), (8, "cuda:0,cuda:1", 2), (64, "cuda", 4)],
)
def test_readers(cores: int, devices: str, readers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)), raising=False)
    assert default_readers(devices.split(",")) == readers


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


def test_the_weights_and_the_machine_decide_what_is_left_open(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    given = RunArguments((str(tree),), small_weights, tmp_path, device="cpu")
    settings = resolve_settings(given)
    assert (settings.network, settings.recipe, settings.draws) == ("v3", "dr19", 20)
    assert (settings.engine, settings.devices, settings.precision) == ("cpu", ("cpu",), "fp32")
    assert (settings.readers, settings.shard_size, settings.products) == (0, 32, ("star", "visit"))
    v2 = tmp_path / "v2.safetensors"
    random_checkpoint(1, architecture=ArchitectureV2(linear_dim=8)).save(v2)
    settings = resolve_settings(replace(given, weights=v2, device="cpu,cpu", spectra="star"))
    assert (settings.network, settings.recipe, settings.draws) == ("v2", "astra-0.6", 100)
    assert (settings.devices, settings.device, settings.products) == (("cpu", "cpu"), "cpu,cpu", ("star",))


def test_what_is_asked_for_is_kept(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    settings = resolve_settings(
        RunArguments(
            (str(tree),), small_weights, tmp_path, device="cpu", engine="null", draws=2, readers=3, shard_size=7
        )
    )
    assert (settings.engine, settings.draws, settings.readers, settings.shard_size) == ("null", 2, 3, 7)


def test_the_word_demo_stands_for_the_shipped_weights(tree: Path, tmp_path: Path) -> None:
    assert resolve_settings(RunArguments((str(tree),), Path("demo"), tmp_path, device="cpu")).weights.is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"draws": 1}, "too few noise draws"),
        ({"recipe": "dr18"}, "unknown recipe"),
        ({"engine": "warp"}, "unknown engine"),
        ({"gpus": "0"}, "--gpus and --device at once"),
        ({"precision": "fp16"}, "cannot compute in this precision"),
        ({"device": "cpu,cpu:9"}, "no such device; got 'cpu:9'; expected cpu | cuda:0 "),
        ({"weights": Path("nowhere")}, "no such weights file"),
    ],
)
def test_what_cannot_be_is_refused(
    changes: dict[str, object], message: str, tree: Path, small_weights: Path, tmp_path: Path
) -> None:
    given = RunArguments((str(tree),), small_weights, tmp_path, device="cpu")
    with pytest.raises(UsageError, match=message):
        resolve_settings(replace(given, **changes))  # type: ignore[arg-type]
