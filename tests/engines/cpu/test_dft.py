"""Fourier transforms on vectors are numpy's, in both directions, and one wrong factor is noticed."""

from __future__ import annotations

import numpy as np
import pytest
from llvmlite import ir

from apnet_fast.engines.cpu.dft import FIRST, FORWARD, INVERSE, POINTS, SECOND, Complex, dft, twiddles
from apnet_fast.engines.cpu.vectors import Kernel, Memory, kernel, lanes_of
from apnet_fast.support.compiled import compiled

LANES = 4
SIZES = (2, 4, 8, 16)


def transform(size: int, sign: int):  # type: ignore[no-untyped-def]
    @kernel
    def body(run: Kernel, real: Memory, imag: Memory, at: ir.Value) -> None:
        places = [run.plus(at, LANES * i) for i in range(size)]
        values = [Complex(real.load(place, run.lanes), imag.load(place, run.lanes)) for place in places]
        for place, value in zip(places, dft(values, sign), strict=True):
            real.store(place, value.real)
            imag.store(place, value.imag)

    @compiled
    def call(lanes, real, imag):  # type: ignore[no-untyped-def]
        body(lanes, real, imag, 0)

    return call


@pytest.mark.parametrize("sign", [FORWARD, INVERSE])
@pytest.mark.parametrize("size", SIZES)
def test_transforms_are_numpys(size: int, sign: int, rng: np.random.Generator) -> None:
    values = rng.normal(size=(2, size, LANES)).astype(np.float32)
    real, imag = (np.ascontiguousarray(part).ravel() for part in values.copy())
    transform(size, sign)(lanes_of(LANES), real, imag)
    given = values[0].astype(complex) + 1j * values[1]
    expected = np.fft.fft(given, axis=0) if sign == FORWARD else np.fft.ifft(given, axis=0) * size
    got = (real + 1j * imag).reshape(size, LANES)
    np.testing.assert_allclose(got, expected, rtol=0, atol=3e-6)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(got, expected.conj(), rtol=0, atol=1e-3)


def test_two_passes_and_their_factors_make_a_transform_of_128_points(rng: np.random.Generator) -> None:
    x = rng.normal(size=POINTS) + 1j * rng.normal(size=POINTS)
    factors = twiddles(FORWARD).astype(np.float64)
    assert factors.shape == (SECOND, FIRST, 2)
    first = np.fft.fft(x.reshape(FIRST, SECOND).T, axis=1) * (factors[..., 0] + 1j * factors[..., 1])  # [b, c]
    second = np.fft.fft(first, axis=0)  # [d, c]
    np.testing.assert_allclose(second.ravel(), np.fft.fft(x), atol=1e-5)
    assert not np.allclose(np.fft.fft(first.conj(), axis=0).ravel(), np.fft.fft(x), atol=1e-2)
