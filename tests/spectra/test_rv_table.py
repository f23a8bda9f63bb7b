"""HDU 9: rows belong to visits by name, and what cannot be told is left out."""

from __future__ import annotations

import math
from pathlib import Path

import fitsio
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from apnet_fast.spectra.apstar import read_apstar
from apnet_fast.spectra.rv_table import Fits, visit_fits
from tests.spectra.files import NAME, distinct_rows, star_cards, visit_file

DTYPE = np.dtype(
    [("filename", "S72"), ("jd", "f8"), ("snr", "f8"), ("vhelio", "f4"), ("x_ccf", "f8", (30,)), ("bc", "f8")]
)


def table_of(*rows: tuple[str, float], dtype: np.dtype = DTYPE) -> NDArray[np.void]:
    table = np.zeros(len(rows), dtype)
    for row, (file, snr) in zip(table, rows, strict=True):
        row["filename"], row["snr"] = file, snr
    return table


def read(path: Path, table: NDArray[np.void]) -> Fits:
    """The table as it is read from HDU 1 of a file, in either byte order of our reader's choice."""
    with fitsio.FITS(str(path), "rw", clobber=True) as file:
        file.write(table)
        place = file[1].get_offsets()
    content = path.read_bytes()

    def fill(buffer: NDArray[np.uint8], offset: int) -> bool:
        part = content[offset : offset + len(buffer)]
        buffer[: len(part)] = np.frombuffer(part, np.uint8)
        return len(part) == len(buffer)

    return visit_fits(content[place["header_start"] : place["data_start"]], fill, place["data_start"])


def test_rows_by_the_visits_name_without_its_folder(tmp_path: Path) -> None:
    table = table_of(("a.fits", 5.5), ("/some/where/b.fits", 7.5))
    table["vhelio"], table["bc"] = [1.5, 2.5], [-3.25, 4.0]
    assert read(tmp_path / "t.fits", table) == {
        "a.fits": {"snr": 5.5, "vhelio": 1.5, "bc": -3.25},
        "b.fits": {"snr": 7.5, "vhelio": 2.5, "bc": 4.0},
    }


def test_a_visit_that_is_there_twice_is_left_out(tmp_path: Path) -> None:
    rows = read(tmp_path / "t.fits", table_of(("a.fits", 5.5), ("b.fits", 6.0), ("a.fits", 7.5)))
    assert list(rows) == ["b.fits"]


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype([("FILE", "S30", (3,)), ("VREL", "f4", (3,))]),  # before DR17
        np.dtype([("filename", "S72"), ("vhelio", "f8")]),
        np.dtype([("filename", "f8"), ("snr", "f8")]),
        np.dtype([("filename", "S72"), ("snr", "S5")]),
        np.dtype([("filename", "S72"), ("snr", "f8", (2,))]),
        np.dtype([("snr", "f8")]),
    ],
    ids=["vectors", "no S/N", "numbers for names", "text for S/N", "several S/N", "no names"],
)
def test_tables_of_another_form_say_nothing(dtype: np.dtype, tmp_path: Path) -> None:
    assert read(tmp_path / "t.fits", np.zeros(1, dtype)) == {}


def test_an_empty_table_and_a_header_of_something_else(tmp_path: Path) -> None:
    assert read(tmp_path / "t.fits", np.zeros(0, DTYPE)) == {}
    assert visit_fits(b"END".ljust(2880), lambda buffer, offset: True, 0) == {}


def test_a_table_that_is_cut_says_nothing(tmp_path: Path) -> None:
    with fitsio.FITS(str(tmp_path / "t.fits"), "rw") as file:
        file.write(table_of(("a.fits", 5.5)))
        place = file[1].get_offsets()
    content = (tmp_path / "t.fits").read_bytes()
    assert visit_fits(content[place["header_start"] : place["data_start"]], lambda *_: False, 0) == {}


def star(path: Path, table: NDArray[np.void], **cards: float) -> Path:
    with fitsio.FITS(str(path), "rw", clobber=True) as file:
        file.write(None, header=star_cards(3) | cards)
        for image in [*distinct_rows(5), *[np.zeros(4, "f4")] * 6]:
            file.write(image)
        file.write(table)
    return path


@pytest.mark.parametrize("direct", [True, False])
def test_a_visits_snr_is_that_of_its_own_row(direct: bool, tmp_path: Path) -> None:
    table = table_of((visit_file(3), 33.0), (visit_file(1), 11.0), ("apVisit-r5-1-55000-001.fits", 99.0))
    path = star(tmp_path / NAME, table, SNRVIS1=0.0, SNRVIS2=0.0)
    coadd, *visits = read_apstar(str(path), direct=direct).records
    assert coadd.snr == 423.5
    # Visit 2 has no row, and its card of 0 says nothing.
    np.testing.assert_equal([visit.snr for visit in visits], [11.0, math.nan, 33.0])


def rewritten(path: Path, table: NDArray[np.void], cards: dict[str, object], masked: str = "") -> Path:
    """A star whose HDU 9 astropy has written, with more cards; a column may have nulls in its first row."""
    star(path, table_of((visit_file(1), 99.0)))
    columns = Table(table, masked=bool(masked))
    if masked:
        columns[masked].mask = [True] + [False] * (len(table) - 1)
    hdu = fits.table_to_hdu(columns)
    hdu.header.update(cards)
    with fits.open(path) as file:
        hdus = fits.HDUList([*(old.copy() for old in file[:9]), hdu])
    hdus.writeto(path, overwrite=True, checksum="CHECKSUM" in cards)
    return path


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize(
    "cards",
    [
        {"EXTNAME": "RV", "EXTVER": 1},
        {"TNULL1": -1, "TNULL3": -1},
        {"TELESCOP": "apo25m", "TCOMM1": "visit", "TUCD3": "stat.snr"},
        {"CHECKSUM": "", "COMMENT": "written again", "HIERARCH long keyword": 1},
        {"LONGCARD": "x" * 100},
        {"BSCALE": 1.0, "EXTLEVEL": 1},
    ],
    ids=lambda cards: ",".join(cards),
)
def test_a_table_that_a_program_has_written_again_is_read(
    cards: dict[str, object], direct: bool, tmp_path: Path
) -> None:
    table = table_of((visit_file(3), 33.0), (visit_file(1), 11.0))
    records = read_apstar(str(rewritten(tmp_path / NAME, table, cards)), ("visit",), direct=direct).records
    # Visit 2 has no row; the others' cards are 101 and 103.
    assert [record.snr for record in records] == [11.0, 102.0, 33.0]


def test_nulls_of_integer_columns_are_unknown(tmp_path: Path) -> None:
    dtype = np.dtype([("filename", "S72"), ("snr", "i4"), ("vhelio", "i2"), ("bc", "f4")])
    table = table_of((visit_file(1), 11), (visit_file(2), 22), dtype=dtype)
    table["vhelio"], table["bc"] = [5, 6], 1.5
    first, second, _ = read_apstar(str(rewritten(tmp_path / NAME, table, {}, "snr")), ("visit",)).records
    assert (first.snr, second.snr) == (101.0, 22.0)
    assert (first.measured.v_rad, second.measured.v_rad) == (5.0, 6.0)
    first, second, _ = read_apstar(str(rewritten(tmp_path / NAME, table, {}, "vhelio")), ("visit",)).records
    np.testing.assert_equal((first.measured.v_rad, second.measured.v_rad), (math.nan, 6.0))
    assert (first.snr, first.measured.bc) == (11.0, 1.5)


def test_scaled_columns_are_scaled(tmp_path: Path) -> None:
    dtype = np.dtype([("filename", "S72"), ("snr", "i2"), ("bc", "f4")])
    table = table_of((visit_file(1), 1150), dtype=dtype)
    path = rewritten(tmp_path / NAME, table, {"TSCAL2": 0.01, "TZERO2": 5.0})
    assert read_apstar(str(path), ("visit",)).records[0].snr == pytest.approx(16.5)


@pytest.mark.parametrize("snr", [0.0, -1.0, math.nan, math.inf])
def test_a_row_without_an_snr_leaves_the_card(snr: float, tmp_path: Path) -> None:
    path = star(tmp_path / NAME, table_of((visit_file(1), snr)))
    assert read_apstar(str(path), ("visit",)).records[0].snr == 101.0


def test_real_files_have_the_snr_of_allvisit(data: Path) -> None:
    real = data.parent / "real" / "dr17"
    if not real.is_dir():
        pytest.skip("the real DR17 files are not there")
    expected = {"2M19485057+5005279": [97.7014], "2M17335483-2753043": [49.6299, 68.0087, 78.2805]}
    for path in sorted(real.glob("*.fits")):
        batch = read_apstar(str(path))
        assert [record.snr for record in batch.records[1:]] == expected[batch.records[0].star.obj]
        for record in batch.records[1:]:
            assert record.measured.v_rad == pytest.approx(record.measured.v_rel + record.measured.bc, abs=0.01)
            assert record.measured.doppler_e_teff > 0
