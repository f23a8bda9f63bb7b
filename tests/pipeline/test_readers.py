"""Readers: order, number and processes change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apnet_fast.pipeline.inputs import resolve_inputs
from apnet_fast.pipeline.readers import Readers
from apnet_fast.spectra import Product, read_apstar


@pytest.mark.parametrize("readers", [0, 1, 3])
def test_batches_come_in_the_order_of_the_files(tree: Path, readers: int) -> None:
    files = [*reversed(resolve_inputs([str(tree)]).files), str(tree / "gone.fits")]
    products: tuple[Product, ...] = ("star", "visit")
    with Readers(readers, products) as pool:
        batches = list(pool.read(files))
    assert [batch.records[0].path for batch in batches] == files
    for path, batch in zip(files, batches, strict=True):
        expected = read_apstar(path, products)
        assert batch.records == expected.records or path.endswith("gone.fits")
        np.testing.assert_array_equal(batch.flux, expected.flux)
        np.testing.assert_array_equal(batch.error, expected.error)


def test_reading_may_stop_early(tree: Path) -> None:
    files = resolve_inputs([str(tree)]).files
    with Readers(2, ("star",)) as pool:
        first = next(pool.read(files))
    assert first.records[0].path == files[0]
