"""The emulation of fp16 on the CPU: exact where it should be, and able to see a fault."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.folding import fold_v3
from apnet_fast.recipes import RECIPES
from benchmarks import precision
from benchmarks.precision import full_outputs, half_outputs, label_shift
from tests.engines.battery import ordinary_spectra

PIXELS = 1027


def test_full_outputs_are_the_network(small_checkpoint: Checkpoint) -> None:
    torch.manual_seed(0)
    log_flux = torch.randn(3, PIXELS)
    with torch.inference_mode():
        expected = small_checkpoint.module()(log_flux[:, None])
    torch.testing.assert_close(
        full_outputs(fold_v3(small_checkpoint, PIXELS), log_flux), expected, rtol=1e-4, atol=1e-5
    )


def test_rounding_of_draws_scales_with_their_distance(small_checkpoint: Checkpoint) -> None:
    torch.manual_seed(0)
    network = fold_v3(small_checkpoint, PIXELS)
    clean, noise = torch.randn(1, PIXELS), torch.randn(1, PIXELS)
    errors = []
    for scale in (0.0, 1e-3, 1.0):
        rows = torch.cat([clean, clean + scale * noise])
        half, full = half_outputs(network, rows).double(), full_outputs(network, rows).double()
        errors.append(float(((half[1] - half[0]) - (full[1] - full[0])).abs().max()))
    assert errors[0] < 1e-6
    assert errors[1] < 2e-6
    assert errors[1] < errors[2] < 5e-3


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("snr", [5, 500])
def test_labels_move_by_little_at_any_noise(small_checkpoint: Checkpoint, recipe: str, snr: float) -> None:
    flux, error = ordinary_spectra(np.random.default_rng(0), 2, snr, PIXELS)
    assert label_shift(small_checkpoint, flux, error, ["a", "b"], 10, RECIPES[recipe]).max() < 0.02


def test_the_shift_sees_draws_that_are_rounded_whole(
    small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    flux, error = ordinary_spectra(np.random.default_rng(0), 1, 500, PIXELS)
    right = label_shift(small_checkpoint, flux, error, ["a"], 10).max()
    monkeypatch.setattr(precision, "_in_halves", precision._rounded)
    assert label_shift(small_checkpoint, flux, error, ["a"], 10).max() > 2 * right


def test_the_command_takes_files_or_stars(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["precision", "--weights", "random"])
    with pytest.raises(SystemExit):
        precision.main()
    assert "files or --stars" in capsys.readouterr().err
