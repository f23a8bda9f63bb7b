"""Transform 128 points by Fourier on SIMD vectors, in two passes of 16 and of 8 points.

With n = 8 a + b and f = c + 16 d, the transform is one of 16 points over a for every b, a factor
exp(-+2 pi i b c / 128), and one of 8 points over b for every c (Cooley and Tukey 1965). Sequences that lie side by
side, as channels do, are transformed together, one per lane.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apnet_fast.engines.cpu.vectors import Vector

POINTS, FIRST, SECOND = 128, 16, 8
FORWARD, INVERSE = -1, 1


@dataclass(frozen=True)
class Complex:
    """Hold complex numbers, one per lane."""

    real: Vector
    imag: Vector

    def __add__(self, other: Complex) -> Complex:
        return Complex(self.real + other.real, self.imag + other.imag)

    def __sub__(self, other: Complex) -> Complex:
        return Complex(self.real - other.real, self.imag - other.imag)

    def times(self, real: Vector | float, imag: Vector | float) -> Complex:
        """Return the product with the number real + i imag."""
        return Complex(
            self.real.times_plus(real, -(self.imag * imag)),
            self.imag.times_plus(real, self.real * imag),
        )

    def plus_i_times(self, other: Complex, sign: int) -> Complex:
        """Return self + sign * i * other."""
        if sign > 0:
            return Complex(self.real - other.imag, self.imag + other.real)
        return Complex(self.real + other.imag, self.imag - other.real)


def dft(values: Sequence[Complex], sign: int) -> list[Complex]:
    """Return sum_n values[n] exp(sign * 2 pi i n f / len(values)) for every f; 2, 4, 8 or 16 values."""
    n = len(values)
    if n == 2:
        return [values[0] + values[1], values[0] - values[1]]
    if n == 4:
        even, odd = values[0] + values[2], values[1] + values[3]
        even_difference, odd_difference = values[0] - values[2], values[1] - values[3]
        return [
            even + odd,
            even_difference.plus_i_times(odd_difference, sign),
            even - odd,
            even_difference.plus_i_times(odd_difference, -sign),
        ]
    outer = n // 4
    inner = [dft(values[b::outer], sign) for b in range(outer)]  # [b][c]
    turned = [[_turned(inner[b][c], b * c, n, sign) for c in range(4)] for b in range(outer)]
    columns = [dft([turned[b][c] for b in range(outer)], sign) for c in range(4)]  # [c][d]
    return [columns[f % 4][f // 4] for f in range(n)]


def _turned(value: Complex, step: int, n: int, sign: int) -> Complex:
    """Return value * exp(sign * 2 pi i step / n)."""
    if step == 0:
        return value
    if 4 * step == n:
        zero = value.real.constant(0.0)
        return Complex(zero, zero).plus_i_times(value, sign)
    factor = cmath.exp(sign * 2j * math.pi * step / n)
    return value.times(factor.real, factor.imag)


def twiddles(sign: int) -> NDArray[np.float32]:
    """Return exp(sign * 2 pi i b c / 128) as float32 (8, 16, 2) [b, c, real and imaginary]."""
    b, c = np.ogrid[:SECOND, :FIRST]
    angle = sign * 2 * np.pi * b * c / POINTS
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)
