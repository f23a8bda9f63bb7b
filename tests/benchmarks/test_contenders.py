"""What the CPU engine is timed against computes the same, and what does not is found out."""

from __future__ import annotations

import pytest

from apnet_fast.networks.checkpoint import Checkpoint
from benchmarks.contenders import NAMES, OURS, UPSTREAM, check, contenders
from benchmarks.cpu import made_up_spectra


def test_contenders_agree(small_checkpoint: Checkpoint) -> None:
    # Compiling takes a minute.
    everyone = contenders(small_checkpoint, 3, [name for name in NAMES if "compile" not in name])
    assert {OURS, UPSTREAM} <= set(everyone)
    check(everyone, *made_up_spectra(2), 3)


def test_another_computation_is_refused(small_checkpoint: Checkpoint) -> None:
    everyone = contenders(small_checkpoint, 3, [OURS, UPSTREAM])
    right = everyone[UPSTREAM]
    everyone[UPSTREAM] = lambda flux, error, draws: 1.01 * right(flux, error, draws)
    with pytest.raises(ValueError, match=UPSTREAM):
        check(everyone, *made_up_spectra(1), 3)
    everyone[UPSTREAM] = lambda flux, error, draws: right(flux, error, draws - 1)
    with pytest.raises(ValueError, match=UPSTREAM):
        check(everyone, *made_up_spectra(1), 3)
