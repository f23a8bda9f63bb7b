"""What the FITS library remembers of a damaged file, and makes of odd cards, reaches no spectrum."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fitsio
import pytest

from apnet_fast.spectra import SpectrumBatch, fits_library, read_spectra
from apnet_fast.spectra.apstar import read_apstar
from apnet_fast.spectra.failures import ReadFailure, Reason
from apnet_fast.spectra.fits_library import check_cards, check_end, header_bytes, library_fits
from apnet_fast.spectra.mwm import has_mwm_tables
from tests.fuzz.apstar import CARD, hdus_of, originals
from tests.spectra.files import FORMS, NAME
from tests.spectra.mwm_files import name_of, rows_like, write_mwm
from tests.spectra.test_compressed import fpacked

END = b"END".ljust(CARD)


def damaged(folder: Path) -> Path:
    """A file whose last header has lost its END: the library quotes what follows, which is no text."""
    content = originals()[1]
    last = hdus_of(content)[-1]
    header = content[last.start : last.data].replace(END, b" " * CARD)
    path = folder / "apStar-dr17-2M00000000+0000000.fits"
    path.write_bytes(content[: last.start] + header + b"\xff" * 2880)
    return path


def plain(folder: Path) -> Path:
    return FORMS["dr17, two visits"].write(folder / NAME)


def compressed(folder: Path) -> Path:
    return fpacked(plain(folder), f"{NAME}.fz")


def mwm(folder: Path) -> Path:
    return write_mwm(folder / name_of("visit"), rows_like(read_spectra(str(plain(folder))), "visit"))


def by_library(path: str) -> SpectrumBatch:
    return read_apstar(path, direct=False)


@pytest.mark.parametrize(
    ("make", "read"),
    [(plain, by_library), (compressed, read_spectra), (mwm, read_spectra)],
    ids=["apStar", "fz", "mwm"],
)
@pytest.mark.parametrize("times", [1, 3])
def test_a_sound_file_behind_a_damaged_one(
    make: Callable[[Path], Path], read: Callable[[str], SpectrumBatch], times: int, tmp_path: Path
) -> None:
    sound, bad = make(tmp_path), damaged(tmp_path)
    alone = read(str(sound))
    assert alone.usable.all()
    verdicts = {repr(read_apstar(str(bad)).records) for _ in range(times)}
    assert len(verdicts) == 1
    assert Reason.BAD_LAYOUT in {record.reason for record in read_apstar(str(bad)).records}
    assert repr(read(str(sound)).records) == repr(alone.records)


def test_tables_are_recognised_behind_a_damaged_file(tmp_path: Path) -> None:
    sound, bad = mwm(tmp_path).rename(tmp_path / "mine.fits"), damaged(tmp_path)
    read_apstar(str(bad))
    assert has_mwm_tables(str(sound))


def test_programs_that_use_the_library_themselves_find_no_messages(tmp_path: Path) -> None:
    sound, bad = plain(tmp_path), damaged(tmp_path)
    read_apstar(str(bad))
    assert fitsio.read_header(str(sound))["SIMPLE"]
    with pytest.raises(OSError, match="could not open"):
        fitsio.FITS(str(tmp_path / "none"))


def test_messages_of_other_programs_are_no_harm(tmp_path: Path) -> None:
    sound, bad = plain(tmp_path), damaged(tmp_path)
    with pytest.raises(UnicodeDecodeError):
        fitsio.FITS(str(bad))[1].read()
    assert by_library(str(sound)).usable.all()


def test_the_damaged_file_leaves_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the care taken, the tests above fail."""
    sound, bad = plain(tmp_path), damaged(tmp_path)
    forget = fits_library._forget_messages
    monkeypatch.setattr(fits_library, "_forget_messages", lambda: None)
    read_apstar(str(bad))
    reasons = [{record.reason for record in by_library(str(sound)).records} for _ in range(2)]
    forget()
    assert reasons == [{Reason.BAD_LAYOUT}, {None}]


def test_messages_are_forgotten_after_an_error_too(tmp_path: Path) -> None:
    with damaged(tmp_path).open("rb") as file, pytest.raises(KeyError), library_fits(file):
        raise KeyError
    assert fitsio.read_header(str(plain(tmp_path)))["SIMPLE"]


def failure_of(path: Path, check: Callable[..., object]) -> ReadFailure:
    with path.open("rb") as file, library_fits(file) as fits, pytest.raises(ReadFailure) as caught:
        check(file, fits)
    assert caught.value.reason is Reason.BAD_LAYOUT
    return caught.value


def test_a_header_is_returned_whole(tmp_path: Path) -> None:
    content = originals()[0]
    (tmp_path / NAME).write_bytes(content)
    with (tmp_path / NAME).open("rb") as file, library_fits(file) as fits:
        for number, hdu in enumerate(hdus_of(content)):
            assert header_bytes(file, fits[number], number) == content[hdu.start : hdu.data]
        check_cards(file, fits)
        check_end(file, fits)


def test_bytes_behind_the_end(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(originals()[0] + bytes(2880))
    assert failure_of(tmp_path / NAME, check_end).text == "the 2880 bytes behind HDU 9 are not an HDU"


def test_a_header_without_end_is_refused_before_it_is_looked_at(tmp_path: Path) -> None:
    """A card behind thousands of comments would be obeyed too."""
    content = originals()[0]
    hdu = hdus_of(content)[1]
    end = content.find(END, hdu.start)
    filling = b"COMMENT".ljust(CARD) * 36 * 400
    (tmp_path / NAME).write_bytes(content[:end] + filling + content[end:])
    failure = failure_of(tmp_path / NAME, check_cards)
    assert (failure.hdu, "at most 1152000" in failure.text) == (1, True)
    assert by_library(str(tmp_path / NAME)).records[0].reason is Reason.BAD_LAYOUT


def test_an_odd_card_is_named(tmp_path: Path) -> None:
    content = originals()[0]
    hdu = hdus_of(content)[2]
    end = content.find(END, hdu.start)
    card = b"HIERARCH BSCALE = 2.0".ljust(CARD)
    (tmp_path / NAME).write_bytes(content[:end] + card + END + content[end + 2 * CARD :])
    failure = failure_of(tmp_path / NAME, check_cards)
    assert failure.hdu == 2
    assert failure.text.startswith("HDU 2 has the card 'HIERARCH BSCALE = 2.0', which is not of the standard's form")
