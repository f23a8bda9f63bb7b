"""The model of the time: full rounds are cheaper than a started one, and what is resident covers exponentials."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.kernels.aot import Compiled, Launch
from benchmarks.model import CHIPS, predict, spectra_per_second

CHIP = CHIPS["sm90"]
CONSTANTS = {
    "BLOCK_M": 256,
    "BLOCK_N": 128,
    "BLOCK_K": 64,
    "STEPS": 31,
    "SEGMENT": 4320,
    "LENGTH": 4288,
    "C_IN": 64,
    "C_OUT": 64,
}
CONV = Launch("conv 64-64", None, {}, CONSTANTS, {"num_warps": 8, "num_stages": 4}, 264)
COMPILED = Compiled("conv 64-64", "sm90", "", 180, 0, 0, 196_608, 232_448, 8, "HGMMA")


def test_a_started_round_costs_a_whole_one() -> None:
    full, more = (predict(replace(CONV, programs=n), COMPILED, CHIP, 20, 1) for n in (264, 265))
    assert (full.rounds, more.rounds) == (2, 3)
    assert more.seconds == pytest.approx(1.5 * full.seconds)
    assert 0.8 < full.of_ceiling(CHIP) < 1


def test_a_second_program_covers_the_exponentials() -> None:
    alone = predict(CONV, COMPILED, CHIP, 20, 1)
    together = predict(CONV, replace(COMPILED, registers=100, shared=98_304), CHIP, 20, 1)
    assert (alone.resident, together.resident) == (1, 2)
    assert together.seconds < alone.seconds


def test_clean_spectra_need_three_products_once_per_tile() -> None:
    clean = predict(replace(CONV, label="conv clean 64-64"), COMPILED, CHIP, 20, 7)
    draws = predict(CONV, COMPILED, CHIP, 20, 7)
    assert clean.seconds > 2.5 * draws.seconds
    assert (clean.per_tile, draws.per_tile) == (1, 7)


def test_the_rate_counts_the_launches_of_a_tile() -> None:
    each = predict(CONV, COMPILED, CHIP, 20, 5)
    assert spectra_per_second([each], 62, joint=False) == pytest.approx(62 / (5 * each.seconds))
    stems = [replace(each, label=label) for label in ("stem", "stem joint", "joint limit")]
    assert spectra_per_second(stems, 62, joint=True) < spectra_per_second(stems, 62, joint=False)
