"""Fields of bits: every bit counts, and numbers that stand for "unknown" are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apnet_fast.spectra.bit_fields import as_flags


@given(value=st.integers(0, 2**63 - 1))
def test_what_is_not_negative_is_itself(value: int) -> None:
    assert as_flags(value, 32) == as_flags(value, 64) == value


@pytest.mark.parametrize("bits", [16, 32])
@given(raw=st.integers(0, 2**32 - 1))
def test_bits_of_narrow_integers_do_not_depend_on_their_sign(bits: int, raw: int) -> None:
    unsigned = raw % 2**bits
    signed = int(np.array(unsigned, f"u{bits // 8}").view(f"i{bits // 8}"))
    assert as_flags(signed, bits) == (None if signed in (-1, -9999, -999999) else unsigned)


@pytest.mark.parametrize(
    ("value", "bits"),
    [(None, 32), (-1, 32), (-9999, 32), (-999999, 32), (-(2**31) - 1, 32), (-(2**63) + 4, 64), (2**63, 64)],
)
def test_what_is_no_field(value: int | None, bits: int) -> None:
    assert as_flags(value, bits) is None
