"""What people give by mistake is named for what it is."""

from __future__ import annotations

from pathlib import Path

import fitsio
import numpy as np
import pytest

from apnet_fast.spectra import Reason, read_spectra
from apnet_fast.spectra.wrong_products import by_name, by_start
from tests.spectra.files import NAME, distinct_rows, star_cards, write_apstar


def text_of(path: Path) -> tuple[Reason | None, str]:
    batch = read_spectra(str(path))
    assert not batch.usable.any()
    return batch.records[0].reason, batch.records[0].text


def test_real_products_under_their_own_and_other_names(data: Path, tmp_path: Path) -> None:
    folder = data.parent / "real" / "not_apstar"
    if not folder.is_dir():
        pytest.skip("the real products are not there")
    for path, what in zip(sorted(folder.glob("*.fits")), ("an apVisit file", "an aspcapStar file"), strict=True):
        for name in (path.name, NAME, "mine.fits"):
            copy = tmp_path / name
            copy.write_bytes(path.read_bytes())
            reason, text = text_of(copy)
            assert reason is Reason.BAD_LAYOUT
            assert text.startswith(f"this is {what}; give the apStar"), text


def test_real_tables(data: Path, tmp_path: Path) -> None:
    folder = data.parent / "real" / "tables"
    if not folder.is_dir():
        pytest.skip("the real tables are not there")
    for name, what in (
        ("allStar-dr16-excerpt.fits", "an allStar table"),
        ("allVisit-dr16-excerpt.fits", "an allVisit table"),
    ):
        copy = tmp_path / NAME
        copy.write_bytes((folder / name).read_bytes())
        reason, text = text_of(copy)
        assert reason is Reason.BAD_LAYOUT
        assert text.startswith(f"this is {what}; give it as --catalog"), text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "a web page"),
        (b"\n\n<HTML><HEAD><TITLE>Login", "a web page"),
        (b"<?xml version='1.0'?><Error/>", "a web page or XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "Git LFS pointer"),
        (b"PK\x03\x04" + bytes(100), "zip archive"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (b'{"error": "not found"}', "JSON"),
        (b"BZh91AY&SY" + bytes(100), "other than gzip"),
    ],
)
def test_what_is_no_fits(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(content)
    reason, text = text_of(tmp_path / NAME)
    assert reason is Reason.NOT_FITS
    assert text.startswith("this is ")
    assert said in text


def test_bytes_of_any_other_kind_are_quoted(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"\x00\x01\x02\x03")
    assert "a FITS file starts with" in text_of(tmp_path / NAME)[1]
    assert by_start(b"SIMPLE  =") == by_start(b"") == ""


def table(path: Path, *columns: str, primary: np.ndarray | None = None, **cards: str) -> Path:
    with fitsio.FITS(str(path), "rw", clobber=True) as file:
        file.write(primary, header=cards)
        if columns:
            file.write(np.zeros(3, [(name, "f4") for name in columns]))
    return path


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (("flux", "loglam", "ivar", "and_mask"), "an optical SDSS spectrum; give the apStar"),
        (("APOGEE_ID", "VISIT_ID", "MJD"), "an allVisit table; give it as --catalog"),
        (("APOGEE_ID", "NVISITS"), "an allStar table; give it as --catalog"),
        (("sdss_id", "spectrum_pk", "teff"), "a summary table of Astra; give it as --catalog"),
        (("a", "b"), "this is a table (HDU 1 has the columns a, b, ...), not a spectrum"),
    ],
)
def test_tables(columns: tuple[str, ...], said: str, tmp_path: Path) -> None:
    reason, text = text_of(table(tmp_path / NAME, *columns))
    assert reason is Reason.BAD_LAYOUT
    assert said in text


@pytest.mark.parametrize("cards", [{"TELESCOP": "LAMOST"}, {"SURVEY": "GALAH"}, {"ORIGIN": "ESO"}])
def test_spectra_of_other_surveys(cards: dict[str, str], tmp_path: Path) -> None:
    path = table(tmp_path / NAME, primary=np.zeros((5, 3909), "f4"), **cards)
    reason, text = text_of(path)
    ((card, value),) = cards.items()
    assert reason is Reason.BAD_LAYOUT
    assert f"another survey ({card} = '{value}'" in text


@pytest.mark.parametrize("cards", [{}, {"TELESCOP": "apo25m"}, {"TELESCOP": "Sloan"}])
@pytest.mark.parametrize("rows", [1, 5])
def test_flux_in_the_primary_hdu_is_named_as_what_it_is(rows: int, cards: dict[str, str], tmp_path: Path) -> None:
    flux, error = distinct_rows(rows)
    for more in ([], [error]):
        with fitsio.FITS(str(tmp_path / NAME), "rw", clobber=True) as file:
            for image in (flux, error, *more):
                file.write(image, header=cards)
        reason, text = text_of(tmp_path / NAME)
        assert reason is Reason.BAD_LAYOUT
        assert f"its primary HDU holds data of shape ({rows}, 8575); an apStar file has flux in HDU 1" in text
        assert "another survey" not in text


def test_data_of_unknown_origin_are_not_said_to_be_of_another_survey(tmp_path: Path) -> None:
    text = text_of(table(tmp_path / NAME, primary=np.zeros((5, 3909), "f4")))[1]
    assert "this is no apStar file: its primary HDU holds data of shape (5, 3909); give the apStar" in text


def test_an_apstar_file_is_none_of_these(tmp_path: Path) -> None:
    path = write_apstar(tmp_path / NAME, *distinct_rows(5), star_cards(3) | {"SURVEY": "apogee-marvels"})
    assert read_spectra(str(path)).usable.all()
    cut = write_apstar(tmp_path / NAME, *distinct_rows(5), star_cards(3), last_hdu=2)
    assert read_spectra(str(cut)).usable.all()


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("aspcapStar-dr17-2M1.fits", "an aspcapStar file"),
        ("apStarLSF-dr17-2M1.fits", "an apStarLSF file"),
        ("asVisit-dr17-9753-58000-300.fits", "an apVisit file"),
        ("allStar-dr17-synspec_rev1.fits", "an allStar table"),
        ("allStarLite-dr17-synspec_rev1.fits", "an allStar table"),
        ("mwmAllVisit-0.6.0.fits", "a summary table of Astra"),
        ("spec-3586-55181-0001.fits", "an optical SDSS spectrum"),
    ],
)
def test_names_of_the_survey(name: str, what: str) -> None:
    assert by_name(name).startswith(f"this is {what}; give ")


@pytest.mark.parametrize(
    "name", [NAME, "apStarC-r5-2M1.fits", "asStar-dr17-2M1.fits", "mwmStar-0.6.0-1.fits", "mine.fits"]
)
def test_names_of_spectra_and_others_say_nothing(name: str) -> None:
    assert by_name(name) == ""
