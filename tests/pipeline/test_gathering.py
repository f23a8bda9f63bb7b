"""Gathering files into a batch: order, copies and growth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from apnet_fast.pipeline import gathering
from apnet_fast.pipeline.gathering import Gathered
from apnet_fast.spectra import Reason, SpectrumBatch
from apnet_fast.spectra.reading import unread_spectra
from apnet_fast.support.grid import PIXELS


def file_of(spectra: int, value: float) -> SpectrumBatch:
    """A file of some spectra that all hold one value."""
    unread = unread_spectra(f"{value}.fits", ("star",), Reason.MISSING_FILE, "").records
    records = [replace(record, row=0, reason=None) for record in unread]
    flux = np.full((spectra, PIXELS), value, np.float32)
    return SpectrumBatch(flux, 2 * flux, [*records] * spectra)


def test_files_follow_each_other_and_are_copied() -> None:
    gathered = Gathered(4)
    first = file_of(2, 1.0)
    gathered.add(first)
    gathered.add(file_of(3, 2.0))
    first.flux[:] = -1  # a reader uses its memory again
    batch = gathered.batch()
    assert (gathered.files, gathered.spectra, len(batch)) == (2, 5, 5)
    assert batch.flux[:, 0].tolist() == [1, 1, 2, 2, 2]
    assert batch.error[:, -1].tolist() == [2, 2, 4, 4, 4]
    assert [record.path for record in batch.records] == ["1.0.fits"] * 2 + ["2.0.fits"] * 3


def test_a_file_with_more_spectra_than_fit_is_kept_whole() -> None:
    gathered = Gathered(1)
    gathered.add(file_of(1, 1.0))
    gathered.add(file_of(gathering._SPARE_ROWS + 9, 2.0))
    assert gathered.batch().flux[:, 0].tolist() == [1] + [2] * (gathering._SPARE_ROWS + 9)


def test_rows_of_files_that_could_not_be_read_keep_their_places() -> None:
    gathered = Gathered(8)
    gathered.add(file_of(1, 1.0))
    gathered.add(unread_spectra("gone.fits", ("star", "visit"), Reason.MISSING_FILE, ""))
    gathered.add(file_of(1, 2.0))
    batch = gathered.batch()
    assert batch.flux[batch.usable, 0].tolist() == [1, 2]
    assert [record.path for record in batch.records] == ["1.0.fits", "gone.fits", "gone.fits", "2.0.fits"]


def test_a_small_batch_keeps_no_more_memory_than_its_spectra() -> None:
    gathered = Gathered(64)
    gathered.add(file_of(3, 1.0))
    batch = gathered.batch()
    assert batch.flux.base is None
    assert batch.error.base is None
    assert batch.flux[:, 0].tolist() == [1] * 3
    gathered = Gathered(64)
    for value in range(16):
        gathered.add(file_of(4, value))
    # Most are not copied once more.
    assert gathered.batch().flux.base is not None
