"""Columns of mwm tables: exact or null, whatever type the writer chose; held to astropy, which writes them."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from apnet_fast.spectra.fits_columns import columns_of
from apnet_fast.spectra.fits_hdus import scan_hdus, unpacked
from apnet_fast.spectra.mwm_columns import MwmColumns


def columns(**values: np.ndarray) -> MwmColumns:
    """Columns as astropy writes them; a masked array has nulls."""
    file = io.BytesIO()
    table = fits.table_to_hdu(Table(values, masked=True))
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(file)
    stream = unpacked(file)
    hdu = list(scan_hdus(stream))[1]
    stream.seek(hdu.data_start)
    rows = np.frombuffer(stream.read(hdu.data_bytes), np.uint8).reshape(hdu.rows, -1)
    return MwmColumns({column.name: column for column in columns_of(hdu)}, [*values, "absent"], rows)


def masked(values: list, kind: str) -> np.ma.MaskedArray:
    """An array whose last value is masked."""
    return np.ma.array(np.array(values, kind), mask=[False] * (len(values) - 1) + [True])


@pytest.mark.parametrize("kind", ["i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_integers_of_every_type(kind: str) -> None:
    most = min(np.iinfo(kind).max, 2**63 - 1)
    found = columns(x=masked([0, 1, 100, most, 7], kind)).integers("x")
    assert found == [0, 1, 100, most, None]


def test_integers_have_limits() -> None:
    found = columns(x=np.array([-9999, -1, 0, 1, 5, 6, 999999], "i4"))
    assert found.integers("x", range(1, 6)) == [None, None, None, 1, 5, None, None]
    assert columns(x=np.array([2**63 - 1, 2**63, 2**64 - 1], "u8")).integers("x") == [2**63 - 1, None, None]


def test_floats_are_integers_if_that_is_exact() -> None:
    wide = columns(x=np.array([3, 2**53 - 1, 2**53, 0.5, np.nan, np.inf])).integers("x")
    assert wide == [3, 2**53 - 1, None, None, None, None]
    narrow = columns(x=np.array([3, 2**24 - 1, 2**24, np.nan], "f4")).integers("x")
    assert narrow == [3, 2**24 - 1, None, None]


def test_text_and_logicals_as_integers() -> None:
    text = columns(x=np.array(["9007199254740993", "-4", "", "x", "1.5", "99999999999999999999"]))
    assert text.integers("x") == [2**53 + 1, None, None, None, None, None]
    assert columns(x=np.array([True, False])).integers("x") == [1, 0]


@pytest.mark.parametrize(("kind", "bits"), [("i2", 16), ("i4", 32)])
def test_the_highest_bit_of_flags(kind: str, bits: int) -> None:
    lowest = -(2 ** (bits - 1))
    found = columns(x=masked([lowest + 4, 5, -1, -9999, 3], kind)).flags("x")
    assert found == [2 ** (bits - 1) + 4, 5, None, None, None]


def test_wide_flags() -> None:
    assert columns(x=np.array([2**62 + 1, -5, 0])).flags("x") == [2**62 + 1, None, 0]
    assert columns(x=np.array([2**40, 2**63], "u8")).flags("x") == [2**40, None]
    assert columns(x=np.array([4.0, 0.5, np.nan])).flags("x") == [4, None, None]


def test_words_and_floats() -> None:
    found = columns(
        word=masked([" a ", "b", "c"], "U5"),
        plate=masked([5215, -1, 3], "i4"),
        mean=np.array([5215.0, 0.5, np.nan]),
        integer=masked([1, 2, 3], "i2"),
    )
    assert (found.words("word"), found.words("plate")) == (["a", "b", ""], ["5215", "-1", ""])
    assert found.words("mean") == ["5215", "0.5", ""]
    np.testing.assert_equal(found.floats("integer"), [1.0, 2.0, math.nan])
    np.testing.assert_equal(found.floats("word"), [math.nan] * 3)


def test_absent_columns_and_vectors_are_null() -> None:
    found = columns(x=np.ones((2, 3)), z=np.ones(2, complex))
    assert len(found) == 2
    for name in ("absent", "x", "z"):
        assert found.words(name) == ["", ""]
        assert found.integers(name) == found.flags(name) == [None, None]
        np.testing.assert_equal(found.floats(name), [math.nan] * 2)


def test_text_that_is_not_ascii_names_its_column() -> None:
    with pytest.raises(ValueError, match="column x holds"):
        columns(x=np.array([b"\xe9", b"a"]))
