"""The value that readers hand on: records, usable rows, and joining batches."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from apnet_fast.spectra.batch import SpectrumBatch, SpectrumRecord, concatenate
from apnet_fast.spectra.failures import Reason
from apnet_fast.spectra.identity import StarIdentity, VisitName
from apnet_fast.support.grid import PIXELS

STAR = StarIdentity("dr17", "dr17", "apo25m", "K05", -1, "ap", "2M19085185+5058401", "")
COADD = SpectrumRecord("star", "a.fits", 0, STAR, VisitName(), 100.0, 10.0, 20.0, 2)
VISIT = replace(COADD, product="visit", row=2, visit=VisitName("apVisit-dr17-1-58002-001.fits"))
NAMELESS = replace(VISIT, visit=VisitName())


def batch(*records: SpectrumRecord, first: float = 0.0) -> SpectrumBatch:
    flux = np.repeat(np.arange(len(records), dtype=np.float32) + first, PIXELS).reshape(len(records), PIXELS)
    return SpectrumBatch(flux, flux + np.float32(0.5), records)


def test_coadd_is_known_by_its_star() -> None:
    assert COADD.identity == STAR.spectrum()


def test_visit_is_known_by_its_file_name() -> None:
    assert VISIT.identity == STAR.spectrum("apVisit-dr17-1-58002-001.fits")


def test_visit_with_a_file_name_is_the_same_in_another_row() -> None:
    assert replace(VISIT, row=7).identity == VISIT.identity


def test_visit_without_a_file_name_is_known_by_its_row() -> None:
    assert NAMELESS.identity != replace(NAMELESS, row=3).identity


@pytest.mark.parametrize("visit", [VISIT, NAMELESS, replace(NAMELESS, row=0)])
def test_visit_and_coadd_of_a_file_differ(visit: SpectrumRecord) -> None:
    assert visit.identity != COADD.identity


def test_path_is_no_part_of_the_identity() -> None:
    assert replace(VISIT, path="elsewhere/b.fits").identity == VISIT.identity


def test_records_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        COADD.row = 1  # type: ignore[misc]


def test_usable_rows_are_those_without_a_reason() -> None:
    records = (COADD, replace(VISIT, reason=Reason.NO_DATA), NAMELESS)
    assert batch(*records).usable.tolist() == [True, False, True]


def test_length_is_the_number_of_spectra() -> None:
    assert len(batch(COADD, VISIT, NAMELESS)) == 3


def test_concatenate_keeps_rows_and_records_in_order() -> None:
    joined = concatenate([batch(COADD, VISIT), batch(NAMELESS, first=5)])
    assert joined.flux[:, 0].tolist() == [0.0, 1.0, 5.0]
    assert joined.error[:, -1].tolist() == [0.5, 1.5, 5.5]
    assert list(joined.records) == [COADD, VISIT, NAMELESS]
    assert joined.flux.dtype == joined.error.dtype == np.float32


def test_concatenate_of_one_batch_is_that_batch() -> None:
    only = batch(COADD)
    assert concatenate([only]) is only
