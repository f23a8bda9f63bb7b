"""What a run can be told, and the schedule of its learning rate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apnet_fast.support.errors import UsageError
from apnet_fast.train.augment import Augmentation
from apnet_fast.train.settings import TrainSettings


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"batch_size": 1},
        {"learning_rate": 0.0},
        {"validation": 1.0},
        {"ema": 1.0},
        {"precision": "fp8"},
        {"products": "pack"},
        {"network": "v4"},
        {"recipe": "dr20"},
        {"augmentation": Augmentation(pixels=1.0)},
        {"seed": -1},
        {"readers": -1},
        {"report_spectra": 0},
        {"report_draws": 1},
        {"output": Path(".")},
        {"output": Path("/")},
        {"device": "foo"},
        {"device": "cuda:99"},
    ],
)
def test_settings_out_of_range(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        TrainSettings(**{"trees": ("x",), "labels": (Path("t"),), "output": Path("w"), "network": "v3", **change})


def test_the_network_has_no_silent_default() -> None:
    with pytest.raises(TypeError, match="network"):
        TrainSettings(trees=("x",), labels=(Path("t"),), output=Path("w"))  # type: ignore[call-arg]


def test_rate_warms_up_and_falls(settings_of: Callable[..., TrainSettings]) -> None:
    settings = settings_of(Path("w.safetensors"), learning_rate=1.0, warmup=0.1)
    rates = [settings.rate_at(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.01, abs=0.002)


def test_how_a_run_is_computed_is_not_what_it_is(settings_of: Callable[..., TrainSettings]) -> None:
    first = settings_of(Path("w.safetensors"), workers=1, readers=0).fingerprint(["a"], "x")
    assert settings_of(Path("v.safetensors"), workers=3, readers=2).fingerprint(["a"], "x") == first
    assert settings_of(Path("w.safetensors"), seed=1).fingerprint(["a"], "x") != first
    assert settings_of(Path("w.safetensors")).fingerprint(["b"], "x") != first
    assert settings_of(Path("w.safetensors")).fingerprint(["a"], "y") != first
    assert first["spectra"] == list(settings_of(Path("w.safetensors")).trees), "states of earlier versions go on"
    assert "trees" not in first
