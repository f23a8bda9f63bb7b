"""Vector kernels compute what their Python says, for every length of vector."""

from __future__ import annotations

import numpy as np
import pytest
from llvmlite import ir

from apnet_fast.engines.cpu.vectors import Kernel, Memory, Vector, kernel, lanes_of
from apnet_fast.support.compiled import compiled


@kernel
def _elu(run: Kernel, x: Memory, y: Memory, at: ir.Value) -> None:
    y.store(at, x.load(at, run.lanes).elu())


@kernel
def _power(run: Kernel, x: Memory, y: Memory, exponent: ir.Value) -> None:
    base = x.load(exponent, run.lanes) * 0.0 + x.load(run.times(exponent, 0), run.lanes)

    def times_base(i: ir.Value, values: list[Vector]) -> list[Vector]:
        return [values[0] * base]

    (result,) = run.loop(exponent, [base.constant(1.0)], times_base)
    with run.if_above(exponent, 2):
        y.store(run.times(exponent, 0), result)


@kernel
def _across(run: Kernel, x: Memory, y: Memory, at: ir.Value) -> None:
    vector = x.load(at, run.lanes)
    y.store(at, run.across([vector, -vector, vector.maximum(-vector), vector.lanes_at([1, 0])], 1))


@compiled
def elu_of(lanes, x, y):  # type: ignore[no-untyped-def]
    for at in range(0, x.size, len(lanes)):
        _elu(lanes, x, y, at)


@compiled
def power_of(lanes, x, y, exponent):  # type: ignore[no-untyped-def]
    _power(lanes, x, y, exponent)


@compiled
def across_of(lanes, x, y):  # type: ignore[no-untyped-def]
    _across(lanes, x, y, 0)


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_elu_to_two_units_in_the_last_place(lanes: int) -> None:
    small = np.float32(10) ** np.linspace(-38, 0, 4096, dtype=np.float32)
    x = np.concatenate([np.linspace(-110, 30, 65536), small, -small, [0.0] * 16]).astype(np.float32)
    y = np.full_like(x, np.nan)
    elu_of(lanes_of(lanes), x, y)
    exact = np.where(x > 0, x.astype(np.float64), np.expm1(x.astype(np.float64)))
    ulp = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    assert np.max(np.abs(y - exact) / ulp) <= 2
    # exp(x) - 1 in fp32, as torch computes it, would not pass near zero.
    naive = np.where(x > 0, x, np.exp(np.minimum(x, 0)) - np.float32(1))
    assert np.max(np.abs(naive - exact) / ulp) > 2


def test_elu_of_infinity_and_nan() -> None:
    x = np.array([np.inf, -np.inf, np.nan, -1.0], dtype=np.float32)
    y = np.empty_like(x)
    elu_of(lanes_of(4), x, y)
    assert y[0] == np.inf
    assert y[1] == -1
    assert np.isnan(y[2])
    assert y[3] == np.float32(np.expm1(-1.0))


def test_loops_and_conditions() -> None:
    x = np.array([2, 3, 4, 5, 6, 7, 8, 9], dtype=np.float32)
    y = np.zeros(4, dtype=np.float32)
    power_of(lanes_of(4), x, y, 2)
    assert not y.any()
    power_of(lanes_of(4), x, y, 3)
    assert np.array_equal(y, x[:4] ** 3)


def test_lanes_across_vectors() -> None:
    x = np.array([1, -2, 3, -4], dtype=np.float32)
    y = np.zeros(4, dtype=np.float32)
    across_of(lanes_of(4), x, y)
    assert y.tolist() == [-2, 2, 2, 1]
    x[1] = np.nan
    across_of(lanes_of(4), x, y)
    assert np.isnan(y[2]), "the larger of NaN and anything"
