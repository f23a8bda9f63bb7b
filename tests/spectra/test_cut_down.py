"""Files cut down to flux and error: read if it is clear whose they are, and what is unclear is said."""

from __future__ import annotations

from pathlib import Path

import fitsio
import numpy as np
import pytest
from astropy.io import fits

from apnet_fast.simulate import simulate_tree
from apnet_fast.spectra.apstar import read_apstar
from apnet_fast.spectra.batch import SpectrumBatch
from apnet_fast.spectra.failures import Reason
from apnet_fast.support.grid import PIXELS
from tests.spectra.files import NAME, distinct_rows, star_cards, write_apstar


def both_ways(path: Path) -> SpectrumBatch:
    batch = read_apstar(str(path))
    assert repr(batch.records) == repr(read_apstar(str(path), direct=False).records)
    for product in ("star", "visit"):
        alone = read_apstar(str(path), (product,))
        assert repr(alone.records) == repr([record for record in batch.records if record.product == product])
        assert len(alone) == len(alone.flux) == len(alone.error)
    return batch


@pytest.mark.parametrize("layout", ["legacy", "dr17", "sdss5"])
@pytest.mark.parametrize("visits", [1, 3])
@pytest.mark.parametrize("hdus", [3, 4, 8])
def test_the_first_hdus_of_a_file_are_read_as_the_file(layout: str, visits: int, hdus: int, tmp_path: Path) -> None:
    tree = simulate_tree(tmp_path / "tree", stars=1, layout=layout, visits=visits, seed=2)
    path = next(path for path in tree.rglob("*Star-*.fits") if not path.is_symlink())
    whole = read_apstar(str(path))
    with fits.open(path) as content:
        fits.HDUList(content[:hdus]).writeto(path, overwrite=True)
    cut = both_ways(path)
    np.testing.assert_array_equal(cut.flux, whole.flux)
    np.testing.assert_array_equal(cut.error, whole.error)
    assert [record.identity for record in cut.records] == [record.identity for record in whole.records]
    assert [record.n_visits for record in cut.records] == [visits] * (visits + 1)
    assert cut.usable.all()


@pytest.mark.parametrize("shape", [(PIXELS,), (1, PIXELS), (2, PIXELS)])
def test_without_cards_the_coadd_is_read_and_the_visits_are_unknown(shape: tuple[int, ...], tmp_path: Path) -> None:
    flux, error = (rows.reshape(shape) for rows in distinct_rows(shape[0] if len(shape) == 2 else 1))
    path = write_apstar(tmp_path / NAME, flux, error, {}, last_hdu=2)
    coadd, visit = both_ways(path).records
    assert (coadd.reason, coadd.row, coadd.n_visits, coadd.star.obj) == (None, 0, -1, "2M19245882+4714573")
    assert (visit.reason, visit.row, visit.n_visits) == (Reason.BAD_LAYOUT, -1, -1)
    assert "without a card NVISITS does not show whether its coadd is also a visit" in visit.text


def test_without_cards_rows_behind_the_coadds_are_visits(tmp_path: Path) -> None:
    batch = both_ways(write_apstar(tmp_path / NAME, *distinct_rows(5), {}, last_hdu=2))
    assert [record.row for record in batch.records] == [0, 2, 3, 4]
    assert len({record.identity for record in batch.records}) == 4
    assert batch.usable.all()


@pytest.mark.parametrize("rows", [1, 2, 4, 6])
def test_a_coadd_that_was_cut_out_of_several_visits_is_no_visit(rows: int, tmp_path: Path) -> None:
    batch = both_ways(write_apstar(tmp_path / NAME, *distinct_rows(rows), star_cards(3), last_hdu=2))
    coadd, *visits = batch.records
    assert (coadd.reason, coadd.row, coadd.n_visits) == (None, 0, 3)
    assert [(visit.reason, visit.row) for visit in visits] == [(Reason.BAD_LAYOUT, -1)] * 3
    assert [visit.visit.mjd for visit in visits] == [56401, 56402, 56403]
    assert f"{rows} rows does not hold the 3 visits" in visits[0].text
    np.testing.assert_array_equal(batch.flux[0], distinct_rows(rows)[0][0])
    assert np.isnan(batch.flux[1:]).all()


@pytest.mark.parametrize("visits", [2, 3, 6])
def test_rows_that_may_be_the_visits_alone_are_no_coadd(visits: int, tmp_path: Path) -> None:
    batch = both_ways(write_apstar(tmp_path / NAME, *distinct_rows(visits), star_cards(visits), last_hdu=2))
    assert [record.product for record in batch.records] == ["star"] + ["visit"] * visits
    assert {(record.reason, record.row, record.n_visits) for record in batch.records} == {
        (Reason.BAD_LAYOUT, -1, visits)
    }
    assert {f"as many rows as visits, {visits}," in record.text for record in batch.records} == {True}
    assert np.isnan(batch.flux).all()
    assert np.isnan(batch.error).all()
    # With the coadds before them, all are known.
    whole = both_ways(write_apstar(tmp_path / NAME, *distinct_rows(visits + 2), star_cards(visits), last_hdu=2))
    assert whole.usable.all()


def test_a_whole_file_is_judged_by_its_rows_alone(tmp_path: Path) -> None:
    batch = both_ways(write_apstar(tmp_path / NAME, *distinct_rows(3), star_cards(3)))
    assert [record.n_visits for record in batch.records] == [1, 1]


def test_nobodys_spectrum_is_refused(tmp_path: Path) -> None:
    path = write_apstar(tmp_path / "spectrum.fits", *distinct_rows(1), {"NVISITS": 1}, last_hdu=2)
    record = both_ways(path).records[0]
    assert record.reason is Reason.BAD_LAYOUT
    assert "neither its name nor a card OBJID identifies its star" in record.text
    named = write_apstar(tmp_path / "spectrum.fits", *distinct_rows(1), {"NVISITS": 1, "OBJID": "2M1"}, last_hdu=2)
    assert both_ways(named).usable.all()
    assert read_apstar(str(named)).records[0].star.obj == "2M1"
    # A file with all of its HDUs is known by its name, as before.
    whole = write_apstar(tmp_path / "spectrum.fits", *distinct_rows(1), {"NVISITS": 1})
    assert read_apstar(str(whole)).records[0].star.obj == "spectrum"


@pytest.mark.parametrize("pixels", [PIXELS - 1, 7514, 8000])
def test_other_lengths_stay_refused(pixels: int, tmp_path: Path) -> None:
    flux, error = (rows[:, :pixels] for rows in distinct_rows(1))
    record = both_ways(write_apstar(tmp_path / NAME, flux, error, star_cards(1), last_hdu=2)).records[0]
    assert (record.reason, record.hdu) == (Reason.BAD_LAYOUT, 1)
    assert f"expected ({PIXELS},)" in record.text


def test_a_file_with_something_behind_its_few_hdus_is_refused(tmp_path: Path) -> None:
    path = write_apstar(tmp_path / NAME, *distinct_rows(5), last_hdu=2)
    path.write_bytes(path.read_bytes() + bytes(2880))
    assert both_ways(path).records[0].reason is Reason.BAD_LAYOUT
    whole = write_apstar(tmp_path / NAME, *distinct_rows(5))
    whole.write_bytes(whole.read_bytes() + bytes(2880))
    assert both_ways(whole).usable.all()


def test_flux_and_inverse_variance_are_not_flux_and_error(tmp_path: Path) -> None:
    flux, ivar = distinct_rows(1)
    with fitsio.FITS(str(tmp_path / NAME), "rw") as file:
        file.write(None, header=star_cards(1))
        file.write(flux, extname="FLUX")
        file.write(ivar, extname="IVAR")
    record = both_ways(tmp_path / NAME).records[0]
    assert (record.reason, record.hdu) == (Reason.BAD_LAYOUT, 2)
    assert "'IVAR'" in record.text
