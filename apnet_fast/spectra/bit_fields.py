"""Fields of bits, as integers of any sign hold them."""

from __future__ import annotations

# Numbers in place of an unknown field, as writers leave them; they are no bits.
_NO_BITS = frozenset((-1, -9999, -999999))


def as_flags(value: int | None, bits: int) -> int | None:
    """Return a field of up to 63 bits from an integer, which may be a signed one of `bits` bits.

    The highest bit of a narrow field makes its integer negative. None for None, for what stands for "unknown" (-1,
    -9999, -999999), and for what is no field of 63 bits.
    """
    if value is None or value in _NO_BITS:
        return None
    if bits < 64 and -(1 << (bits - 1)) <= value < 0:
        value += 1 << bits
    return value if 0 <= value < 2**63 else None
