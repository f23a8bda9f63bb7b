"""Equal copies of rows are one row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from apnet_fast.catalog.copies import first_of_copies


@pytest.mark.parametrize(
    ("names", "values", "kept"),
    [
        (["a", "b", "a"], [1.0, 2.0, 1.0], [0, 1]),
        (["a", "b", "a"], [1.0, 2.0, 3.0], [0, 1, 2]),
        (["a", "a", "a", "a"], [None, 1.0, None, 1.0], [0, 1]),
        (["a", "b", "c"], [1.0, 1.0, 1.0], [0, 1, 2]),
        ([None, None, ""], [1.0, 1.0, 1.0], [0, 2]),
        ([], [], []),
    ],
)
def test_copies_are_left_out(names: list[str | None], values: list[float | None], kept: list[int]) -> None:
    columns = [pa.array(values, pa.float32()), pa.array([b"x"] * len(values), pa.binary())]
    assert first_of_copies({"obj": pa.array(names, pa.string())}, columns, len(names)).tolist() == kept


def test_many_rows_of_which_some_are_copies() -> None:
    rng = np.random.default_rng(3)
    ids = np.arange(2000)
    order = np.concatenate([ids, rng.choice(ids, 300, replace=False)])
    rng.shuffle(order)
    columns = {"obj": pa.array([f"2M{i}" for i in order])}, [pa.array(order % 7), pa.array(order / 3)]
    kept = first_of_copies(*columns, len(order))
    assert len(kept) == 2000
    assert sorted(order[kept]) == ids.tolist()
