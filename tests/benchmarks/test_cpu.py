"""The CPU benchmark's spectra, figures and report."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from apnet_fast.networks.checkpoint import Checkpoint
from benchmarks import cpu
from benchmarks.contenders import OURS, UPSTREAM


def test_made_up_spectra_are_clean_and_the_same_every_time() -> None:
    flux, error = cpu.made_up_spectra(2)
    assert flux.shape == error.shape == (2, 8575)
    assert flux.dtype == error.dtype == np.float32
    assert np.isfinite(flux).all()
    assert (error > 0).all()
    assert np.array_equal(cpu.made_up_spectra(2)[0], flux)


def test_ratios_are_to_the_engine_in_the_same_round() -> None:
    everyone = {name: lambda flux, error, draws: np.zeros((len(flux), 1 + draws, 3)) for name in (OURS, UPSTREAM)}
    results = cpu.compare(everyone, 1, 3, 2)
    pairs = zip(results[UPSTREAM]["seconds"], results[OURS]["seconds"], strict=True)
    assert results[UPSTREAM]["ratios"] == [one / ours for one, ours in pairs]
    assert results[OURS]["ratio"] == 1


def test_errors_are_of_rounding_and_the_cost_has_every_number(small_checkpoint: Checkpoint) -> None:
    assert all(0 < value < 1e-5 for value in cpu.errors(small_checkpoint, 2).values())
    costs = cpu.cost_by_number(small_checkpoint, [1, 3], 2)
    assert list(costs) == [1, 3]
    assert costs[3]["spectra_mb"] == pytest.approx(3 * costs[1]["spectra_mb"])


def test_the_command_writes_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_checkpoint: Checkpoint
) -> None:
    monkeypatch.setattr(cpu, "random_checkpoint", lambda network: small_checkpoint)
    output = tmp_path / "cpu.json"
    words = ["--spectra", "1", "--rounds", "1", "--draws", "2", "--only", UPSTREAM, "--numbers", "1"]
    monkeypatch.setattr(sys, "argv", ["cpu", *words, "--json", str(output)])
    cpu.main()
    report = json.loads(output.read_text())
    assert set(report["contenders"]) == {OURS, UPSTREAM}
    assert report["draws"] == 2
