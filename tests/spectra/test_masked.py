"""What is masked is missing, however the mask comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from apnet_fast.spectra.masked import without_mask

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
