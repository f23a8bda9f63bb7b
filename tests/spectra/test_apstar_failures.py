"""Files the apStar reader cannot use: every one gives rows with a reason, never an exception and never a result."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import fitsio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apnet_fast.spectra.apstar import BOTH, read_apstar
from apnet_fast.spectra.batch import Product
from apnet_fast.spectra.failures import Reason
from apnet_fast.support.grid import PIXELS
from tests.spectra.files import NAME, PRODUCTS, distinct_rows, star_cards, write_apstar


def failure(path: Path | str, products: tuple[Product, ...] = BOTH) -> tuple[Reason | None, int]:
    """Reason and HDU of a file that gives no spectra, after checking that all its rows say so."""
    batch = read_apstar(str(path), products)
    assert list(dict.fromkeys(record.product for record in batch.records)) == list(products)
    assert {record.row for record in batch.records} == {-1}
    assert {record.path for record in batch.records} == {str(path)}
    assert all(record.text for record in batch.records)
    assert np.isnan(batch.flux).all()
    assert np.isnan(batch.error).all()
    assert batch.flux.shape == batch.error.shape == (len(batch), PIXELS)
    (what,) = {(record.reason, record.hdu) for record in batch.records}
    return what


def test_missing_file(tmp_path: Path) -> None:
    assert failure(tmp_path / NAME) == (Reason.MISSING_FILE, 0)


def test_dangling_symlink_names_its_target(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.symlink_to("gone-59500.fits")
    assert failure(path) == (Reason.MISSING_FILE, 0)
    assert "gone-59500.fits" in read_apstar(str(path)).records[0].text


def test_symlink_to_itself(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.symlink_to(NAME)
    assert failure(path) == (Reason.UNREADABLE, 0)


def test_directory(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.mkdir()
    assert failure(path) == (Reason.UNREADABLE, 0)


def test_file_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert failure(tmp_path / "file" / NAME) == (Reason.UNREADABLE, 0)


def test_path_with_a_zero_byte() -> None:
    assert failure("a\0b.fits") == (Reason.UNREADABLE, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_file_without_read_permission(tmp_path: Path) -> None:
    path = write_apstar(tmp_path / NAME, *distinct_rows(3))
    path.chmod(0)
    assert failure(path) == (Reason.UNREADABLE, 0)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied"), Reason.UNREADABLE),
        (OSError(errno.EIO, "Input/output error"), Reason.IO_ERROR),
        (OSError(errno.ESTALE, "Stale file handle"), Reason.IO_ERROR),
        (OSError(errno.ETIMEDOUT, "Connection timed out"), Reason.IO_ERROR),
    ],
)
@pytest.mark.parametrize("call", ["open", "pread"])
def test_error_of_the_system_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: Reason, call: str
) -> None:
    def refuse(*arguments: object) -> None:
        raise error

    path = write_apstar(tmp_path / NAME, *distinct_rows(3))
    monkeypatch.setattr(os, call, refuse)
    assert failure(path) == (reason, 0)
    assert read_apstar(str(path)).records[0].text == error.strerror


@pytest.mark.parametrize("path_bytes", [b"\xff\xfe.fits", "\N{LATIN SMALL LETTER E WITH ACUTE}.fits".encode("latin-1")])
def test_name_that_is_not_utf8_gives_a_printable_object(tmp_path: Path, path_bytes: bytes) -> None:
    path = tmp_path / os.fsdecode(path_bytes)
    assert failure(path) == (Reason.MISSING_FILE, 0)
    record = read_apstar(str(path)).records[0]
    assert record.star.obj.isascii()
    assert record.identity.isprintable()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"not a FITS file\n" * 1000, Reason.NOT_FITS),
        (bytes(10_000), Reason.NOT_FITS),
        (b"SIMPLE  =                    T".ljust(10_000), Reason.TRUNCATED),
    ],
    ids=["empty", "text", "zeros", "no END"],
)
def test_content_that_is_not_fits(tmp_path: Path, content: bytes, reason: Reason) -> None:
    path = tmp_path / NAME
    path.write_bytes(content)
    assert failure(path) == (reason, 0)


FLUX, ERROR = distinct_rows(5)
LAYOUTS: dict[str, tuple[np.ndarray | None, np.ndarray | None, int]] = {
    "too few pixels": (FLUX[:, :8000], ERROR[:, :8000], 1),
    "too many pixels": (np.tile(FLUX, 2), np.tile(ERROR, 2), 1),
    "pixels along the wrong axis": (FLUX.T, ERROR.T, 1),
    "1-D of another length": (FLUX[0, :-1], ERROR[0, :-1], 1),
    "3-D": (FLUX[None], ERROR[None], 1),
    "flux is a table": (None, ERROR, 1),
    "error is a table": (FLUX, None, 2),
    "error with other pixels": (FLUX, ERROR[:, :-1], 2),
    "error with fewer rows": (FLUX, ERROR[:-1], 2),
    "error with one row": (FLUX, ERROR[0], 2),
    "integers for flux": (FLUX.astype("i4"), ERROR, 1),
    "integers for error": (FLUX, ERROR.astype("i2"), 2),
}


@pytest.mark.parametrize("products", PRODUCTS, ids="+".join)
@pytest.mark.parametrize("name", LAYOUTS)
def test_layout_of_no_apstar(tmp_path: Path, name: str, products: tuple[Product, ...]) -> None:
    flux, error, hdu = LAYOUTS[name]
    assert failure(write_apstar(tmp_path / NAME, flux, error), products) == (Reason.BAD_LAYOUT, hdu)


def test_only_a_primary_hdu(tmp_path: Path) -> None:
    assert failure(write_apstar(tmp_path / NAME, FLUX, ERROR, last_hdu=0)) == (Reason.BAD_LAYOUT, 1)


def test_image_without_pixels(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with fitsio.FITS(str(path), "rw") as file:
        for _ in range(10):
            file.create_image_hdu(dims=[], dtype="f4")
    assert failure(path) == (Reason.BAD_LAYOUT, 1)


def test_failed_file_has_a_row_for_every_visit_of_its_header(tmp_path: Path) -> None:
    path = write_apstar(tmp_path / NAME, FLUX[:, :8000], ERROR[:, :8000], star_cards(3))
    batch = read_apstar(str(path))
    assert failure(path) == (Reason.BAD_LAYOUT, 1)
    assert [record.visit.mjd for record in batch.records] == [-1, 56401, 56402, 56403]
    assert {record.n_visits for record in batch.records} == {3}
    assert len({record.identity for record in batch.records}) == 4
    assert batch.records[0].ra == 291.25


def test_failed_file_without_a_header_has_a_row_of_each_product(tmp_path: Path) -> None:
    batch = read_apstar(str(tmp_path / NAME))
    assert [(record.product, record.n_visits) for record in batch.records] == [("star", -1), ("visit", -1)]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a thing of Unix")
def test_named_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    assert failure(tmp_path / NAME) == (Reason.UNREADABLE, 0)


def test_failed_file_is_known_by_its_name(tmp_path: Path) -> None:
    star = read_apstar(str(tmp_path / "asStar-dr17-2M03174068-7748459.fits")).records[0].star
    assert (star.release, star.telescope, star.obj) == ("dr17", "lco25m", "2M03174068-7748459")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with HDUs 0 to 9."""
    return write_apstar(tmp_path_factory.mktemp("whole") / NAME, *distinct_rows(3), star_cards(1))


@pytest.fixture(scope="module")
def offsets(whole: Path) -> list[dict[str, int]]:
    with fitsio.FITS(str(whole)) as file:
        return [hdu.get_offsets() for hdu in file]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


def test_whole_file_has_results(whole: Path) -> None:
    assert read_apstar(str(whole)).usable.all()


@pytest.mark.parametrize("hdu", range(1, 10))
def test_cut_between_hdus(whole: Path, offsets: list[dict[str, int]], tmp_path: Path, hdu: int) -> None:
    """Without flux or error there is no spectrum; behind them, a cut cannot be told from what people cut away."""
    path = tmp_path / NAME
    path.write_bytes(whole.read_bytes()[: offsets[hdu]["header_start"]])
    if hdu <= 2:
        assert failure(path) == (Reason.BAD_LAYOUT, hdu)
    else:
        cut, complete = read_apstar(str(path)), read_apstar(str(whole))
        np.testing.assert_array_equal(cut.flux, complete.flux)
        assert [record.identity for record in cut.records] == [record.identity for record in complete.records]


@pytest.mark.parametrize("hdu", range(1, 10))
@pytest.mark.parametrize(
    ("place", "step"),
    [
        ("header_start", 1),
        ("header_start", 2000),
        ("data_start", -1),
        ("data_start", 0),
        ("data_start", 100),
        ("data_end", -1),
    ],
)
def test_cut_inside_an_hdu(
    whole: Path, offsets: list[dict[str, int]], tmp_path: Path, hdu: int, place: str, step: int
) -> None:
    path = tmp_path / NAME
    path.write_bytes(whole.read_bytes()[: offsets[hdu][place] + step])
    assert failure(path) == (Reason.TRUNCATED, hdu)


@settings(max_examples=150, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_shortened_file_never_has_a_result(whole: Path, folder: Path, share: float) -> None:
    data = whole.read_bytes()
    path = folder / NAME
    path.write_bytes(data[: int(share * len(data))])
    for products in PRODUCTS:
        reason, _ = failure(path, products)
        assert reason in {Reason.EMPTY_FILE, Reason.NOT_FITS, Reason.TRUNCATED, Reason.BAD_LAYOUT}


@settings(max_examples=150, deadline=None)
@given(hdu=st.integers(0, 3), place=st.integers(0, 9 * 80), byte=st.integers(0, 255))
def test_wrong_byte_in_a_header_never_raises(
    whole: Path, folder: Path, offsets: list[dict[str, int]], hdu: int, place: int, byte: int
) -> None:
    data = bytearray(whole.read_bytes())
    data[offsets[hdu]["header_start"] + place] = byte
    path = folder / NAME
    path.write_bytes(data)
    batch = read_apstar(str(path))
    assert {record.product for record in batch.records} == {"star", "visit"}
    assert batch.flux.shape == batch.error.shape == (len(batch), PIXELS)


def test_a_second_beginning_in_the_place_of_an_extension(
    whole: Path, offsets: list[dict[str, int]], tmp_path: Path
) -> None:
    data = bytearray(whole.read_bytes())
    start = offsets[1]["header_start"]
    data[start : start + 80] = b"SIMPLE  =                    F".ljust(80)
    path = tmp_path / NAME
    path.write_bytes(data)
    assert failure(path)[0] in {Reason.UNREADABLE, Reason.BAD_LAYOUT, Reason.TRUNCATED}


def with_rows(whole: Path, rows: int, path: Path) -> Path:
    """A copy of the file of 3 rows whose HDU 1 claims to have `rows`."""
    data = whole.read_bytes()
    card = f"NAXIS2  = {rows:>20d}".encode()
    start = data.index(b"NAXIS2  =")
    path.write_bytes(data[:start] + card + data[start + len(card) :])
    return path


@pytest.mark.parametrize("products", PRODUCTS, ids="+".join)
@pytest.mark.parametrize("rows", [-4, 0, 2, 4, 5, 10**9, 10**12, 10**18, 10**25])
def test_wrong_number_of_rows_in_a_header(
    whole: Path, tmp_path: Path, rows: int, products: tuple[Product, ...]
) -> None:
    reason, _ = failure(with_rows(whole, rows, tmp_path / NAME), products)
    assert reason in {Reason.TRUNCATED, Reason.BAD_LAYOUT}


def test_images_without_rows(whole: Path, offsets: list[dict[str, int]], tmp_path: Path) -> None:
    data = whole.read_bytes()
    card = f"NAXIS2  = {0:>20d}".encode()
    parts = [data[: offsets[1]["header_start"]]]
    for hdu in (1, 2):
        header = data[offsets[hdu]["header_start"] : offsets[hdu]["data_start"]]
        start = header.index(b"NAXIS2  =")
        parts.append(header[:start] + card + header[start + len(card) :])
    path = tmp_path / NAME
    path.write_bytes(b"".join([*parts, data[offsets[3]["header_start"] :]]))
    assert failure(path) == (Reason.BAD_LAYOUT, 1)


def test_right_number_of_rows_in_a_header(whole: Path, tmp_path: Path) -> None:
    assert read_apstar(str(with_rows(whole, 3, tmp_path / NAME))).usable.all()


def test_bytes_behind_the_last_hdu(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(whole.read_bytes() + b"XTENSION= 'IMAGE   '")
    assert failure(path) == (Reason.TRUNCATED, 10)
