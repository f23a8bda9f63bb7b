"""Rivals of the GPU engine compute the same recipe as the reference engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from apnet_fast.engines.reference import process
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import RECIPES
from benchmarks.cpu import made_up_spectra
from benchmarks.rivals import Batched, preprocessed, upstream_loop


def test_the_first_row_of_the_input_is_the_processed_clean_spectrum() -> None:
    flux, error = map(torch.from_numpy, made_up_spectra(2))
    rows = preprocessed(flux, error, 3)
    assert rows.shape == (8, 8575)
    clean = process(flux, RECIPES["dr19"])
    torch.testing.assert_close(rows[::4], clean, rtol=0, atol=2e-4)
    assert (rows[1] - clean[0]).abs().max() > 1e-3


@pytest.mark.parametrize("two_dimensional", [False, True])
def test_the_batched_network_is_the_network(small_checkpoint: Checkpoint, two_dimensional: bool) -> None:
    flux, error = made_up_spectra(1)
    rows = preprocessed(*map(torch.from_numpy, (flux, error)), 1)
    with torch.inference_mode():
        expected = small_checkpoint.module()(rows[:, None])
        batched = Batched(small_checkpoint, 8575, torch.float32, two_dimensional=two_dimensional)
        got = batched.network(rows)
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
        batched.blocks[0][1] = (batched.blocks[0][1][0] * 1.1, batched.blocks[0][1][1])
        assert not torch.allclose(batched.network(rows), expected, rtol=1e-4, atol=1e-4)


def test_the_upstream_loop_gives_the_clean_spectrum_and_its_draws(small_checkpoint: Checkpoint) -> None:
    flux, error = made_up_spectra(1)
    outputs = upstream_loop(small_checkpoint, torch.device("cpu"))(flux[0], error[0], 3).numpy()
    assert outputs.shape == (4, 3)
    assert not np.allclose(outputs[1], outputs[2])
