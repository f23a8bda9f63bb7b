"""Engines are loaded again from what loaded them: the same weights or none, once per process."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from apnet_fast.engines.loading import EngineOptions, load_engine, shared_engine
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.support.errors import UsageError, WeightsError
from tests.conftest import SMALL


def options_of(weights: str | Path) -> EngineOptions:
    return EngineOptions.of(weights, None, "cpu", "null", None)


def test_options_do_not_depend_on_the_folder(small_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small_weights.parent)
    assert options_of(small_weights.name) == options_of(small_weights)
    assert options_of("demo").weights == "demo"


def test_an_engine_is_shared_as_long_as_it_lives(small_weights: Path) -> None:
    engine, options = load_engine(options_of(small_weights))
    assert options.sha256 == engine.checkpoint.sha256
    assert shared_engine(options) is engine
    assert load_engine(options)[0] is not engine
    del engine
    gc.collect()
    again = shared_engine(options)
    assert shared_engine(options) is again


def test_other_weights_at_the_same_path_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    random_checkpoint(1, architecture=SMALL).save(path)
    options = load_engine(options_of(path))[1]
    gc.collect()
    random_checkpoint(2, architecture=SMALL).save(path)
    with pytest.raises(WeightsError, match="another one than when the network was loaded"):
        shared_engine(options)


def test_what_cannot_be_loaded_is_an_error(small_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such weights file"):
        load_engine(options_of(tmp_path / "w.safetensors"))
    with pytest.raises(UsageError, match="unknown recipe"):
        load_engine(EngineOptions.of(small_weights, "dr20", "cpu", "null", None))
    with pytest.raises(UsageError, match="no such device; got 'CPU'"):
        load_engine(EngineOptions.of(small_weights, None, "CPU", "auto", None))
