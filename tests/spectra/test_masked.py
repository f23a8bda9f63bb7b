"""What is masked is missing, however the mask comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from apnet_fast.spectra.masked import without_mask
from apnet_fast.support.errors import UsageError

VALUES = np.array([[1.0, 1e7, 3.0], [4.0, 5.0, 1e300]])
MASK = np.array([[False, True, False], [False, False, True]])
EXPECTED = np.array([[1, np.nan, 3], [4, 5, np.nan]], dtype=np.float32)


class Masked(np.ndarray):
    """An array with a mask that is none of numpy's, as astropy has."""

    mask = MASK


@pytest.mark.parametrize(
    "values",
    [
        np.ma.array(VALUES, mask=MASK),
        [np.ma.array(row, mask=mask) for row, mask in zip(VALUES, MASK, strict=True)],
        [[1.0, np.nan, 3.0], np.ma.array(VALUES[1], mask=MASK[1])],
        np.ma.array(np.where(MASK, 0, VALUES).astype(np.int64), mask=MASK),
        VALUES.view(Masked),
    ],
    ids=["array", "rows", "some rows", "integers", "not numpy's"],
)
def test_masked_values_are_nan(values: Any) -> None:
    found = without_mask(values)
    assert type(found) is np.ndarray
    assert found.dtype == np.float32
    assert np.array_equal(found, EXPECTED, equal_nan=True)


@pytest.mark.parametrize(
    "values", [np.ma.array(VALUES[0]), np.ma.array(VALUES[0], mask=[False] * 3), VALUES[0], [1, 1e7, 3]]
)
def test_without_a_mask_all_is_as_it_was(values: Any) -> None:
    found = without_mask(values, np.float64)
    assert type(found) is np.ndarray
    assert found.tolist() == [1, 1e7, 3]


def test_an_array_that_has_no_mask_is_not_copied() -> None:
    values: NDArray[np.float32] = np.ones((2, 3), dtype=np.float32)
    assert without_mask(values) is values


def as_table(kind: str, rows: list[Any]) -> Any:
    """A column of a table with an array, or None, in each row."""
    if kind == "arrow":
        return pytest.importorskip("pyarrow").array(rows)
    if kind == "arrow, fixed":
        arrow = pytest.importorskip("pyarrow")
        return arrow.array(rows, arrow.list_(arrow.float32(), 3))
    if kind == "arrow, chunked":
        arrow = pytest.importorskip("pyarrow")
        return arrow.chunked_array([arrow.array(rows[:1]), arrow.array(rows[1:], arrow.list_(arrow.float64()))])
    if kind == "pandas":
        return pytest.importorskip("pandas").Series(rows)
    if kind == "pandas on arrow":
        arrow, pandas = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
        return pandas.Series(arrow.array(rows), dtype=pandas.ArrowDtype(arrow.list_(arrow.float64())))
    polars = pytest.importorskip("polars")
    return polars.Series("flux", rows, dtype=polars.Array(polars.Float64, 3) if "fixed" in kind else None)


KINDS = ["arrow", "arrow, fixed", "arrow, chunked", "pandas", "pandas on arrow", "polars", "polars, fixed"]


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_arrays(kind: str) -> None:
    rows = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    found = without_mask(as_table(kind, rows))
    assert type(found) is np.ndarray
    assert found.dtype == np.float32
    assert found.tolist() == rows
    assert without_mask(list(as_table(kind, rows))).tolist() == rows
    assert without_mask(next(iter(as_table(kind, rows)))).tolist() == rows[0]
    with_gap = without_mask(as_table(kind, [rows[0], None]))
    assert np.array_equal(with_gap, [rows[0], [np.nan] * 3], equal_nan=True)
    assert not np.array_equal(without_mask(as_table(kind, rows[::-1])), rows)


def test_columns_of_numbers_with_gaps() -> None:
    pandas, arrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    for values in (
        pandas.Series([1, None, 3], dtype="Int64"),
        pandas.Series([1.0, None, 3.0], dtype="Float32"),
        arrow.array([1.0, None, 3.0]),
        arrow.chunked_array([[1, None], [3]]),
        [1.0, None, 3.0],
        np.array([1.0, None, 3.0], dtype=object),
    ):
        assert np.array_equal(without_mask(values), [1, np.nan, 3], equal_nan=True), type(values)


def test_rows_of_different_lengths_are_refused() -> None:
    with pytest.raises(UsageError, match=r"rows of different lengths; got \[\(2,\), \(3,\)\]"):
        without_mask([[1.0, 2.0, 3.0], [4.0, 5.0]])
    with pytest.raises(UsageError, match="rows of different lengths"):
        without_mask(as_table("arrow", [[1.0, 2.0, 3.0], [4.0]]))


@pytest.mark.parametrize(
    ("values", "got"),
    [
        ("star.fits", "could not convert string"),
        ([["a", "b"]], "could not convert string"),
        (np.ones((1, 3), dtype=complex), "complex128"),
        ([1 + 2j, 3.0], "complex128"),
        (np.ma.array([1j, 2], mask=[False, True]), "complex128"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "datetime64"),
        ({"flux": 1.0}, "'dict'"),
        ([object()], "'object'"),
        ([None, "x"], "could not convert string"),
    ],
)
def test_what_is_no_number_is_refused(values: Any, got: str) -> None:
    with pytest.raises(UsageError, match=f"the values are not an array of real numbers; got .*{got}"):
        without_mask(values)


def test_tensors_of_any_kind() -> None:
    torch = pytest.importorskip("torch")
    expected = [[1.0, 2.5], [3.0, 4.0]]
    plain = torch.tensor(expected)
    for tensor in (plain, plain.double(), plain.half(), plain.bfloat16(), plain.clone().requires_grad_()):
        found = without_mask(tensor)
        assert type(found) is np.ndarray
        assert found.dtype == np.float32
        assert found.tolist() == expected
        assert without_mask(list(tensor)).tolist() == expected
    assert without_mask(torch.tensor([0.1], dtype=torch.float64), np.float64)[0] == 0.1
    lazy = torch.view_as_complex(torch.stack([plain, -plain], dim=-1)).conj().imag  # negated when it is read
    assert lazy.is_neg()
    for tensor in (lazy, plain.to_sparse()):
        assert without_mask(tensor).tolist() == expected
