"""The FITS library's reader: what it would accept, and an apStar file may not be."""

from __future__ import annotations

import struct
from pathlib import Path

import fitsio
import numpy as np
import pytest

from apnet_fast.spectra import library
from apnet_fast.spectra.apstar import read_apstar
from apnet_fast.spectra.failures import Reason
from tests.fuzz.apstar import hdus_of, originals
from tests.fuzz.odd_forms import FORMS, odd


def changed(original: bytes, hdu: int, **cards: str) -> bytes:
    """A file with cards of one HDU put in the place of those of the same keyword, or of a comment."""
    content = bytearray(original)
    place = hdus_of(original)[hdu]
    for key, value in cards.items():
        text = f"{key:<8s}= {value:>20s}".ljust(80).encode()
        at = content.find(f"{key:<8s}=".encode(), place.start, place.data)
        if at < 0:
            at = content.find(b"END     ", place.start, place.data)
            content[at + 80 : at + 160] = b"END".ljust(80)
        content[at : at + 80] = text
    return bytes(content)


def verdict(path: Path, content: bytes) -> tuple[Reason | None, str, int]:
    path.write_bytes(content)
    first = read_apstar(str(path), direct=False).records[0]
    assert repr(read_apstar(str(path)).records[0]) == repr(first)
    return first.reason, first.text, first.hdu


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "apStar-dr17-2M19245882+4714573.fits"


@pytest.mark.parametrize("hdu", [1, 2])
@pytest.mark.parametrize(
    ("card", "value"), [("PCOUNT", "1"), ("PCOUNT", "8575"), ("GCOUNT", "2"), ("BSCALE", "2.0"), ("BZERO", "1.0")]
)
def test_pixels_that_are_not_plain_values(hdu: int, card: str, value: str, path: Path) -> None:
    """PCOUNT 1 used to shift every pixel by one, without a word."""
    for original in originals()[:5]:
        reason, text, where = verdict(path, changed(original, hdu, **{card: value}))
        assert reason in (Reason.BAD_LAYOUT, Reason.TRUNCATED)
        if card.startswith("B") or value == "1":
            assert (f"{card} of HDU {hdu} is {value}" in text, where) == (True, hdu)


def test_scaling_that_changes_nothing_is_no_harm(path: Path) -> None:
    assert verdict(path, changed(originals()[0], 1, BSCALE="1.0", BZERO="0.0")) == (None, "", 1)


@pytest.mark.parametrize(
    ("hdu", "card", "value"),
    [
        (1, "BUNIT", "'Err (10^-17)'"),
        (2, "BUNIT", "'Flux (10^-17)'"),
        (1, "EXTNAME", "'SKY FLUX'"),
        (4, "BUNIT", "'Flux'"),
    ],
)
def test_hdus_with_the_name_of_another(hdu: int, card: str, value: str, path: Path) -> None:
    reason, text, where = verdict(path, changed(originals()[2], hdu, **{card: value}))
    assert (reason, where) == (Reason.BAD_LAYOUT, hdu)
    assert f"({card})" in text


def test_a_card_that_is_there_twice(path: Path) -> None:
    content = changed(originals()[0], 1, CHECKED="1")
    twice = content.replace(b"CHECKED =                    1", b"BUNIT   = 'Flux'".ljust(30), 1)
    assert verdict(path, content)[0] is None
    assert verdict(path, twice)[:2] == (Reason.BAD_LAYOUT, "HDU 1 has two cards BUNIT")


def test_flux_and_error_exchanged_are_noticed_by_their_names(path: Path) -> None:
    for original in originals():
        hdus = hdus_of(original)
        parts = [original[hdu.start : hdu.end] for hdu in hdus]
        parts[1], parts[2] = parts[2], parts[1]
        assert verdict(path, b"".join(parts))[0] is Reason.BAD_LAYOUT


def test_a_compressed_image_of_many_rows_is_not_unpacked(path: Path) -> None:
    """Tiles of zeros take nothing: 100,000 rows of them are a file of a few MB, and 7 GB of memory."""
    with fitsio.FITS(str(path), "rw", clobber=True) as file:
        file.write(None, header={"OBJID": "2M", "NVISITS": 1})
        for _ in range(2):
            file.write(np.zeros((4100, 8575), "f4"), compress="gzip", qlevel=None, tile_dims=(4100, 8575))
    assert path.stat().st_size < 2_000_000
    reason, text, hdu = verdict(path, path.read_bytes())
    assert (reason, hdu) == (Reason.BAD_LAYOUT, 1)
    assert "4100 rows" in text


def test_values_are_those_of_the_file(path: Path) -> None:
    original = originals()[3]
    path.write_bytes(original)
    batch = read_apstar(str(path), direct=False)
    first = struct.unpack(">3f", original[hdus_of(original)[1].data :][:12])
    assert batch.flux[0, :3].tolist() == list(first)


def with_card(original: bytes, hdu: int, card: str) -> bytes:
    """A file with one more card at the end of a header."""
    end = original.find(b"END".ljust(80), hdus_of(original)[hdu].start)
    return original[:end] + card.ljust(80).encode() + b"END".ljust(80) + original[end + 160 :]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("key", "value"), [("PCOUNT", "1"), ("PCOUNT", "80"), ("BSCALE", "2.0"), ("BZERO", "1.0")])
def test_no_form_of_a_card_moves_or_scales_the_pixels(form: str, key: str, value: str, path: Path) -> None:
    """The library obeys many forms that are not of the standard, and used to shift the pixels without a word."""
    original = originals()[4]
    path.write_bytes(original)
    sound = read_apstar(str(path))
    for hdu in (0, 1, 2, 3, 9):
        path.write_bytes(with_card(original, hdu, odd(form, key, value)))
        both = [read_apstar(str(path), direct=direct) for direct in (True, False)]
        assert repr(both[0].records) == repr(both[1].records)
        for batch in both:
            if batch.records[0].reason is None:
                assert batch.flux.tobytes() == sound.flux.tobytes()
                assert batch.error.tobytes() == sound.error.tobytes()


@pytest.mark.parametrize(("key", "value"), [("PCOUNT", "1"), ("PCOUNT", "-1"), ("BSCALE", "2.0"), ("BZERO", "1.0")])
@pytest.mark.parametrize("hdu", [1, 2])
def test_hierarch_cards_that_the_library_obeys_are_refused(key: str, value: str, hdu: int, path: Path) -> None:
    reason, text, where = verdict(path, with_card(originals()[0], hdu, f"HIERARCH {key} = {value}"))
    assert (reason, where) == (Reason.BAD_LAYOUT, hdu)
    assert f"'HIERARCH {key} = {value}'" in text


@pytest.mark.parametrize("value", ["F", "'a'", "1"])
def test_a_primary_header_has_one_verdict(value: str, path: Path) -> None:
    for card in (f"HIERARCH PCOUNT = {value}", f"PCOUNT = {value}", f"GCOUNT  == {value}"):
        assert verdict(path, with_card(originals()[0], 0, card))[0] in (Reason.BAD_LAYOUT, Reason.UNREADABLE)


def test_other_hierarch_cards_are_no_harm(path: Path) -> None:
    for hdu in (0, 1):
        assert verdict(path, with_card(originals()[0], hdu, "HIERARCH ESO BSCALE = 2.0"))[0] is None


def test_pixels_are_the_bytes_behind_the_header(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a form that nobody knows of yet does not change them."""
    path.write_bytes(originals()[4])
    sound = read_apstar(str(path))
    path.write_bytes(with_card(originals()[4], 1, "HIERARCH BSCALE = 2.0"))
    monkeypatch.setattr(library, "check_cards", lambda *arguments: None)
    for products in (("star",), ("star", "visit")):
        batch = read_apstar(str(path), products, direct=False)
        assert batch.flux.tobytes() == sound.flux[: len(batch)].tobytes()
    with fitsio.FITS(str(path)) as fits:
        assert fits[1][0:1, :][0, 100] == 2 * sound.flux[0, 100], "the library itself obeys the card"
