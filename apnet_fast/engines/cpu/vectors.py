"""Use SIMD vectors in numba functions: short runs of float32 that are loaded, computed and stored as one value.

LLVM's own vectoriser gives up on the many streams of a Fourier transform. Here a kernel is a Python function that emits
LLVM code on `Vector`s; `kernel` turns it into something that numba functions can call. LLVM maps vectors to whatever
registers the machine has.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing import signature
from numba.extending import intrinsic

_FLOAT, _INT32, _INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)

# exp(f) - 1 - f = f^2 (C0 + C1 f + ...) for |f| <= ln(2) / 2: Chebyshev interpolation, to 1e-8 of exp(f).
_EXP_COEFFICIENTS = (0.5, 0.16666577025597995, 0.04166655466205835, 0.00836317307451214, 0.0013926176119143715)
_LOG2_E = 1.4426950408889634
# ln 2 in two parts: the first has few enough bits that its multiples by small whole numbers are exact.
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440054690583e-4
_LOWEST_EXPONENT = -87.0
_EXPONENT_BIAS, _MANTISSA_BITS = 127, 23


@dataclass(frozen=True)
class Vector:
    """Stand for `lanes` float32 values in the function that `builder` is writing."""

    builder: ir.IRBuilder
    value: ir.Value

    @property
    def lanes(self) -> int:
        """Return the number of values."""
        return self.value.type.count

    def __add__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fadd(self.value, other.value))

    def __sub__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fsub(self.value, other.value))

    def __mul__(self, other: Vector | float) -> Vector:
        factor = other if isinstance(other, Vector) else self.constant(other)
        return Vector(self.builder, self.builder.fmul(self.value, factor.value))

    def __neg__(self) -> Vector:
        return Vector(self.builder, self.builder.fneg(self.value))

    def constant(self, number: float) -> Vector:
        """Return a vector of the same length with one number in every lane."""
        return Vector(self.builder, ir.Constant(self.value.type, [number] * self.lanes))

    def times_plus(self, factor: Vector | float, addend: Vector | float) -> Vector:
        """Return self * factor + addend, with one rounding if the machine can."""
        values = [other if isinstance(other, Vector) else self.constant(other) for other in (factor, addend)]
        return self._call("llvm.fmuladd", *values)

    def maximum(self, other: Vector) -> Vector:
        """Return the larger of each pair of values; NaN if one of them is NaN."""
        largest = self._call("llvm.maxnum", other)  # ignores NaN
        missing = self.builder.fcmp_unordered("uno", self.value, other.value)
        return Vector(self.builder, self.builder.select(missing, (self + other).value, largest.value))

    def lanes_at(self, lanes: Sequence[int]) -> Vector:
        """Return a vector of some of the lanes."""
        mask = ir.Constant(ir.VectorType(_INT32, len(lanes)), list(lanes))
        return Vector(self.builder, self.builder.shuffle_vector(self.value, self.value, mask))

    def elu(self) -> Vector:
        """Return self if positive, else exp(self) - 1, exact to 2 ulp also near zero; NaN stays NaN."""
        builder, kind = self.builder, self.value.type
        clamped = self._call("llvm.maxnum", self.constant(_LOWEST_EXPONENT))
        power = (clamped * _LOG2_E)._call("llvm.rint")
        rest = power.times_plus(-_LN2_LOW, power.times_plus(-_LN2_HIGH, clamped))
        series = rest.constant(_EXP_COEFFICIENTS[-1])
        for coefficient in reversed(_EXP_COEFFICIENTS[:-1]):
            series = series.times_plus(rest, coefficient)
        small = (rest * rest).times_plus(series, rest)  # exp(rest) - 1
        integers = ir.VectorType(_INT32, self.lanes)
        exponent = builder.add(
            builder.fptosi(power.value, integers), ir.Constant(integers, [_EXPONENT_BIAS] * self.lanes)
        )
        bits = builder.shl(exponent, ir.Constant(integers, [_MANTISSA_BITS] * self.lanes))
        scale = Vector(builder, builder.bitcast(bits, kind))
        below = scale.times_plus(small, scale + scale.constant(-1.0))
        negative = builder.fcmp_ordered("<=", self.value, self.constant(0.0).value)
        return Vector(builder, builder.select(negative, below.value, self.value))

    def _call(self, name: str, *others: Vector) -> Vector:
        kind = self.value.type
        function = cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(kind, [kind] * (1 + len(others))), f"{name}.v{self.lanes}f32"
        )
        return Vector(self.builder, self.builder.call(function, [self.value, *(other.value for other in others)]))


@dataclass(frozen=True)
class Memory:
    """Give access to the float32 values of a kernel's array argument."""

    builder: ir.IRBuilder
    base: ir.Value

    def load(self, index: ir.Value, lanes: int) -> Vector:
        """Return the vector that begins at an element."""
        return Vector(self.builder, self.builder.load(self._address(index, lanes), align=4))

    def splat(self, index: ir.Value, lanes: int) -> Vector:
        """Return a vector with one element in every lane."""
        builder = self.builder
        number = builder.load(builder.gep(self.base, [index]), align=4)
        kind = ir.VectorType(_FLOAT, lanes)
        first = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.Constant(_INT32, 0))
        return Vector(
            builder, builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_INT32, lanes), [0] * lanes))
        )

    def store(self, index: ir.Value, vector: Vector) -> None:
        """Write a vector, starting at an element."""
        self.builder.store(vector.value, self._address(index, vector.lanes), align=4)

    def _address(self, index: ir.Value, lanes: int) -> ir.Value:
        return self.builder.bitcast(self.builder.gep(self.base, [index]), ir.VectorType(_FLOAT, lanes).as_pointer())


class Kernel:
    """Give a kernel's body the length of its vectors, and arithmetic on indices."""

    def __init__(self, builder: ir.IRBuilder, lanes: int) -> None:
        self.builder = builder
        self.lanes = lanes

    def plus(self, index: ir.Value, other: ir.Value | int) -> ir.Value:
        """Return a sum of indices."""
        return self.builder.add(index, ir.Constant(_INT64, other) if isinstance(other, int) else other)

    def times(self, index: ir.Value, factor: int) -> ir.Value:
        """Return a multiple of an index."""
        return self.builder.mul(index, ir.Constant(_INT64, factor))

    def loop(
        self, count: ir.Value, values: Sequence[Vector], body: Callable[[ir.Value, list[Vector]], list[Vector]]
    ) -> list[Vector]:
        """Replace values by body(i, values) for i = 0 .. count - 1, and return the last."""
        slots = [cgutils.alloca_once_value(self.builder, vector.value) for vector in values]

        def current() -> list[Vector]:
            return [Vector(self.builder, self.builder.load(slot)) for slot in slots]

        with cgutils.for_range(self.builder, count, intp=_INT64) as around:
            for slot, vector in zip(slots, body(around.index, current()), strict=True):
                self.builder.store(vector.value, slot)
        return current()

    def across(self, vectors: Sequence[Vector], lane: int) -> Vector:
        """Return one lane of each of some vectors, as a vector."""
        row = ir.Constant(ir.VectorType(_FLOAT, len(vectors)), ir.Undefined)
        for i, vector in enumerate(vectors):
            value = self.builder.extract_element(vector.value, ir.Constant(_INT32, lane))
            row = self.builder.insert_element(row, value, ir.Constant(_INT32, i))
        return Vector(self.builder, row)

    def if_above(self, index: ir.Value, limit: int) -> AbstractContextManager[Any]:
        """Return a context; the code emitted in it runs if index > limit."""
        return self.builder.if_then(self.builder.icmp_signed(">", index, ir.Constant(_INT64, limit)))


def lanes_of(number: int) -> tuple[int, ...]:
    """Return every kernel's first argument: a tuple as long as its vectors, so that numba compiles for that length."""
    return (0,) * number


def kernel(body: Callable[..., None]) -> Any:
    """Make a function for numba code from a body that emits vector instructions.

    body(kernel, *arguments) gets a `Memory` for each float32 array and an int64 value for each index. The function
    takes `lanes_of(...)` in place of the kernel.
    """

    def typed(context: Any, lanes: Any, *given: Any) -> Any:
        def generate(code: Any, builder: ir.IRBuilder, sig: Any, args: Sequence[ir.Value]) -> ir.Value:
            values: list[Any] = []
            for kind, value in zip(sig.args[1:], args[1:], strict=True):
                if isinstance(kind, types.Array):
                    values.append(Memory(builder, code.make_array(kind)(code, builder, value).data))
                else:
                    values.append(code.cast(builder, value, kind, types.int64))
            body(Kernel(builder, lanes.count), *values)
            return code.get_dummy_value()

        return signature(types.void, lanes, *given), generate

    # numba reads the number of arguments from the signature.
    names = ["context", "lanes", *list(inspect.signature(body).parameters)[1:]]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return intrinsic(typed)
