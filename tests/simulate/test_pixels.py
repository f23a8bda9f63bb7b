"""The bits of APOGEE_PIXMASK."""

from __future__ import annotations

from apnet_fast.simulate.pixels import BAD_BITS, PixelBit


def test_bad_bits_are_those_the_pipelines_call_bad() -> None:
    bad = {bit for bit in PixelBit if bit & BAD_BITS}
    warnings = {"LITTROW_GHOST", "PERSIST_HIGH", "PERSIST_MED", "PERSIST_LOW", "SIG_SKYLINE", "SIG_TELLURIC"}
    assert {bit.name for bit in PixelBit} - {bit.name for bit in bad} == warnings
    assert sum(bad) == BAD_BITS
