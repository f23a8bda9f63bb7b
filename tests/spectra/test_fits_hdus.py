"""HDUs by their headers: what a file holds, and where it is damaged."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from apnet_fast.spectra.fits_hdus import DamagedFits, Hdu, scan_hdus, unpacked


@pytest.fixture
def contents() -> bytes:
    """Cards of every kind, an image, a table with a heap, a packed image, and an ASCII table."""
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("A", "J", array=np.arange(3)),
            fits.Column("V", "PE()", array=np.array([np.arange(2.0), np.arange(5.0), []], object)),
        ]
    )
    primary = fits.PrimaryHDU()
    primary.header["LONG"] = "x" * 200
    primary.header["QUOTE"] = ("it's", "a / in the comment")
    ascii_table = fits.TableHDU.from_columns([fits.Column("T", "A5", array=["one", "two"], ascii=True)])
    hdus = [primary, fits.ImageHDU(np.zeros((3, 700))), table, fits.CompImageHDU(np.ones((20, 20))), ascii_table]
    file = io.BytesIO()
    fits.HDUList(hdus).writeto(file)
    return file.getvalue()


def scanned(contents: bytes) -> list[Hdu]:
    return list(scan_hdus(unpacked(io.BytesIO(contents))))


@pytest.mark.parametrize("packed", [False, True])
def test_hdus_are_found_with_their_places_and_kinds(contents: bytes, packed: bool) -> None:
    found = scanned(gzip.compress(contents) if packed else contents)
    with fits.open(io.BytesIO(contents), disable_image_compression=True) as expected:
        places = [(hdu.fileinfo()["datLoc"], hdu.header.get("XTENSION", "")) for hdu in expected]
    assert [(hdu.data_start, hdu.kind) for hdu in found] == places
    assert [hdu.is_table for hdu in found] == [False, False, True, False, True]
    assert [hdu.is_packed_image for hdu in found] == [False, False, False, True, False]
    assert (found[2].rows, found[2].column_names) == (3, ["A", "V"])
    assert found[0].header.text("QUOTE") == "it's"


def test_bytes_behind_the_last_hdu_are_none(contents: bytes) -> None:
    assert len(scanned(contents + b"\0" * 5000)) == 5
    assert len(scanned(contents + b"notes")) == 5


def card(key: str, value: str) -> bytes:
    return f"{key:8}= {value:>20}".encode()


@pytest.mark.parametrize(
    ("damage", "message", "cut"),
    [
        (lambda data: b"", "begins with", False),
        (lambda data: b"GIF89a" + data, "begins with", False),
        (lambda data: data[:1000], "ends inside the header of HDU 0", True),
        (lambda data: data[:3880], "ends inside the header of HDU 1", True),
        (lambda data: data.replace(card("NAXIS2", "3"), card("NAXIS2", "x3")), "NAXIS2", False),
        (lambda data: data.replace(card("PCOUNT", "0"), card("PCOUNT", "-9")), "sizes", False),
        (lambda data: data.replace(card("NAXIS", "2"), card("NAXIS", "2147483648")), "axes", False),
        (lambda data: data[:2880].replace(b"END   ", b"NOEND ") * 2100, "no END card", False),
    ],
)
def test_damage_is_told(contents: bytes, damage: object, message: str, cut: bool) -> None:
    with pytest.raises(DamagedFits, match=message) as error:
        scanned(damage(contents))  # type: ignore[operator]
    assert error.value.cut is cut


def test_a_file_on_disk_is_scanned_without_reading_its_data(contents: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(contents)
    with open(tmp_path / "a.fits", "rb") as file:
        assert len(list(scan_hdus(unpacked(file)))) == 5


@pytest.mark.parametrize("groups", [10**18, 10**30])
def test_data_beyond_any_file_are_refused(contents: bytes, groups: int) -> None:
    place = contents.index(b"GCOUNT  =")
    huge = contents[:place] + f"GCOUNT  = {groups}".encode().ljust(80) + contents[place + 80 :]
    with pytest.raises(DamagedFits, match=r"the data of HDU \d+ have \d+ bytes"):
        scanned(huge)
    assert len(scanned(contents)) == 5
