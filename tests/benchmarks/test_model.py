"""The model of the time: rounds, exponentials, arithmetic, and what each change of the engine gains."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.kernels import aot
from apnet_fast.kernels.aot import Compiled, Launch
from apnet_fast.kernels.tuning import GENERIC, shipped, table_for
from benchmarks.model import CHIPS, Way, linear_seconds, predict, predict_way, spectra_per_second, ways

CHIP = CHIPS["sm90"]
CONSTANTS = {
    "BLOCK_M": 256,
    "BLOCK_N": 128,
    "BLOCK_K": 64,
    "S": 2,
    "STEPS": 31,
    "SEGMENT": 4320,
    "LENGTH": 4288,
    "C_IN": 64,
    "C_OUT": 64,
}
CONV = Launch("conv 64-64", None, {}, CONSTANTS, {"num_warps": 8, "num_stages": 4}, 264)
COMPILED = Compiled("conv 64-64", "sm90", "", 180, 0, 0, 196_608, 232_448, 8, "HGMMA", 908)


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


def test_a_convolution_with_few_products_is_bound_by_what_it_moves() -> None:
    small = {**CONSTANTS, "STEPS": 2, "C_IN": 4, "C_OUT": 8}
    few = predict(replace(CONV, constants=small), COMPILED, CHIP, 20, 1)
    fewer = predict(replace(CONV, constants={**small, "STEPS": 1}), COMPILED, CHIP, 20, 1)
    more = predict(CONV, COMPILED, CHIP, 20, 1)
    outputs = 256 * 128 * (2 + 4)
    assert fewer.seconds > 2 * outputs / (24 * CHIP.clock_ghz * 1e9)
    assert few.seconds < 1.2 * fewer.seconds < 0.5 * more.seconds


def test_the_launches_of_a_table_take_its_group() -> None:
    pools = {launch.label: launch for launch in aot.launches(table_for("sm90")) if launch.label.startswith("pool")}
    assert pools["pool"].programs * 62 == pools["pool clean"].programs * 31


def test_whole_rows_need_one_exponential() -> None:
    differences, whole = (predict(CONV, COMPILED, CHIP, 20, 1, whole=whole) for whole in (False, True))
    assert whole.seconds < differences.seconds
    matrix = 2 * 2 * 256 * 128 * 31 * 64 / (788e12 / 132)
    assert differences.seconds - matrix == pytest.approx(2 * (whole.seconds - matrix))


def test_the_rate_counts_the_launches_of_a_tile() -> None:
    each = predict(CONV, COMPILED, CHIP, 20, 5)
    rate = spectra_per_second([each], CHIP, 20, 62, joint=False)
    assert rate == pytest.approx(1 / (5 * (each.seconds + CHIP.gap) / 62 + linear_seconds(CHIP, 20)))
    stems = [replace(each, label=label) for label in ("stem", "stem joint", "joint limit")]
    assert spectra_per_second(stems, CHIP, 20, 62, joint=True) < spectra_per_second(stems, CHIP, 20, 62, joint=False)


def test_linear_layers_are_the_surveys() -> None:
    # 65536 x 1024 and a little more, 24 products a spectrum.
    assert linear_seconds(CHIP, 20) == pytest.approx(2 * 24 * 72e6 / 788e12, rel=0.05)
    assert linear_seconds(CHIP, 20, differences=False) == pytest.approx(42 / 24 * linear_seconds(CHIP, 20))


STEM = Launch("stem", None, {}, {"LENGTH": 4288, "QUADS": 4096, "CLEAN": False, "JOINT": False}, {"num_warps": 16}, 132)


def test_the_stem_is_bound_by_the_arithmetic_of_its_rounds() -> None:
    one, two = (predict(replace(STEM, programs=n), COMPILED, CHIP, 20, 1) for n in (42, 133))
    assert two.seconds == pytest.approx(2 * one.seconds)
    joint = predict(replace(STEM, constants={**STEM.constants, "JOINT": True}), COMPILED, CHIP, 20, 1)
    assert joint.seconds < one.seconds


def test_every_change_gains_where_it_should() -> None:
    """With one convolution and the stem: what is left out here has no part in what the changes do."""
    conv = replace(CONV, programs=355), COMPILED
    clean = replace(CONV, label="conv clean 64-64", programs=400), COMPILED
    limit = Launch("joint limit", None, {}, {}, {"num_warps": 8}, 48), COMPILED
    stems = {name: (replace(STEM, label=name), COMPILED) for name in ("stem", "stem joint")}
    found = {"conv 64-64": conv, "conv clean 64-64": clean, "joint limit": limit, **stems}
    before, differences, whole, shape = ways(table_for("sm90"))

    def rate(way: Way, joint: bool = False) -> float:
        return predict_way(way, found, CHIP, 20, joint)

    # The clean row costs a little, and linear layers in two halves cost more than it.
    assert 0.9 < rate(differences) / rate(before) < 1.1
    assert rate(whole) == rate(differences)
    assert (differences.filled(48), whole.filled(48)) == (pytest.approx(2 / 3), 1)
    at_once = replace(whole, stem_at_once=True)
    assert rate(at_once) > 1.05 * rate(whole)
    assert rate(at_once, joint=True) > 1.2 * rate(whole, joint=True)
    assert shape.tuning == table_for("sm90")
    assert whole.tuning.group_rows == 42


def test_every_table_but_the_generic_one_has_a_chip() -> None:
    assert set(CHIPS) == set(shipped()) - {GENERIC}
    a100, b200 = CHIPS["sm80"], CHIPS["sm100"]
    # Their matrix units at the chip's clock: 1024 and 4096 fp16 FMA a clock and multiprocessor.
    for chip, each in ((a100, 1024), (b200, 4096)):
        peak = 2 * each * chip.multiprocessors * chip.clock_ghz / 1e3
        assert chip.matmul_tflops == pytest.approx(peak, rel=0.01)
        assert chip.ceilings != "measured"
    slower = predict(CONV, COMPILED, a100, 20, 1)
    assert slower.seconds > predict(CONV, COMPILED, CHIP, 20, 1).seconds
