"""One door to every kind of source."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from apnet_fast.simulate import simulate_tree
from apnet_fast.spectra import Product, Reason, read_apstar, read_spectra, reading, unread_spectra
from apnet_fast.spectra.failures import PASSING, ReadFailure
from apnet_fast.spectra.mwm import read_mwm
from apnet_fast.spectra.pack import Manifest, write_pack_file
from tests.spectra.mwm_files import name_of, rows_like, write_mwm


@pytest.fixture(scope="module")
def apstar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One ordinary file."""
    tree = simulate_tree(tmp_path_factory.mktemp("tree") / "legacy", stars=1, layout="legacy", visits=2)
    return next(tree.rglob("*.fits"))


def test_names_decide_and_other_files_are_looked_into(apstar: Path, tmp_path: Path) -> None:
    spectra = read_apstar(str(apstar))
    mwm = write_mwm(tmp_path / name_of("visit"), rows_like(spectra, "visit"))
    renamed_mwm, renamed_apstar = tmp_path / "mine.fits", tmp_path / "mine_too.fits"
    renamed_mwm.write_bytes(mwm.read_bytes())
    renamed_apstar.write_bytes(apstar.read_bytes())
    Manifest("", 0, {"0.arrow": write_pack_file(tmp_path / "0.arrow", spectra)}, 6).write(tmp_path)
    for path, expected in [
        (apstar, spectra),
        (renamed_apstar, read_apstar(str(renamed_apstar))),
        (mwm, read_mwm(str(mwm))),
        (renamed_mwm, read_mwm(str(renamed_mwm))),
        (tmp_path / "0.arrow", spectra),
    ]:
        batch = read_spectra(str(path))
        assert batch.usable.all()
        assert batch.records == expected.records
        np.testing.assert_array_equal(batch.flux, expected.flux)


@pytest.mark.parametrize("name", ["apStar-r8-2M1.fits", "mwmStar-0.6.0-1.fits", "mine.fits", "0.arrow", "no_suffix"])
def test_what_is_not_there_has_its_rows(name: str, tmp_path: Path) -> None:
    batch = read_spectra(str(tmp_path / name))
    assert len(batch) > 0
    assert not batch.usable.any()


def test_sources_that_must_not_be_opened_have_their_rows(apstar: Path, tmp_path: Path) -> None:
    spectra = read_apstar(str(apstar))
    Manifest("", 0, {"0.arrow": write_pack_file(tmp_path / "0.arrow", spectra)}, 6).write(tmp_path)
    expected: dict[Path, list[Product]] = {
        apstar: ["star", "visit"],
        tmp_path / name_of("star"): ["star"],
        tmp_path / name_of("visit"): ["visit"],
        tmp_path / "0.arrow": ["star", "visit", "visit"],
        tmp_path / "elsewhere" / "0.arrow": ["star", "visit"],
    }
    for path, products in expected.items():
        batch = unread_spectra(str(path), ("star", "visit"), Reason.UNREADABLE, "why")
        assert [record.product for record in batch.records] == products
        assert {(record.reason, record.text, record.row) for record in batch.records} == {
            (Reason.UNREADABLE, "why", -1)
        }
        only = unread_spectra(str(path), ("star",), Reason.UNREADABLE, "why")
        assert [record.product for record in only.records] == [product for product in products if product == "star"]


class Failing:
    """In place of os.pread: an error of the file system, a number of times."""

    def __init__(self, times: int, error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left, self.error, self.real = times, error, os.pread
        monkeypatch.setattr(os, "pread", self)
        monkeypatch.setattr("time.sleep", lambda seconds: self.slept.append(seconds))
        self.slept: list[float] = []

    def __call__(self, *arguments: int) -> bytes:
        if self.left:
            self.left -= 1
            raise self.error
        return self.real(*arguments)


@pytest.fixture(autouse=True)
def no_failures_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_in_vain", 0)


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.ETIMEDOUT])
def test_a_passing_error_is_tried_again(number: int, apstar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_spectra(str(apstar))
    failing = Failing(1, OSError(number, "passing"), monkeypatch)
    batch = read_spectra(str(apstar))
    assert repr(batch.records) == repr(expected.records)
    assert (failing.left, len(failing.slept)) == (0, 1)


def test_an_error_that_stays_has_a_reason_of_its_own(apstar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Failing(10**6, OSError(errno.ESTALE, "Stale file handle"), monkeypatch)
    batch = read_spectra(str(apstar))
    assert {(record.reason, record.text) for record in batch.records} == {(Reason.IO_ERROR, "Stale file handle")}
    assert Reason.IO_ERROR in PASSING
    assert len(failing.slept) == 2
    assert sum(failing.slept) < 1


def test_a_verdict_about_the_file_is_not_tried_again(apstar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Failing(1, PermissionError(errno.EACCES, "Permission denied"), monkeypatch)
    assert read_spectra(str(apstar)).records[0].reason is Reason.UNREADABLE
    assert failing.slept == []
    assert Reason.UNREADABLE not in PASSING


def test_a_file_system_that_is_gone_is_not_waited_for(apstar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = Failing(10**6, OSError(errno.ESTALE, "Stale file handle"), monkeypatch)
    for _ in range(50):
        assert read_spectra(str(apstar)).records[0].reason is Reason.IO_ERROR
    assert len(failing.slept) == 2 * 5
    failing.left = 0
    assert read_spectra(str(apstar)).usable.all()
    failing.left = 1
    assert read_spectra(str(apstar)).usable.all()


def test_a_file_that_is_being_written_is_read_when_it_is_whole(
    apstar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, content, real = tmp_path / apstar.name, apstar.read_bytes(), os.pread
    path.write_bytes(content[: len(content) // 2])

    def write_the_rest(*arguments: int) -> bytes:
        path.write_bytes(content)
        return real(*arguments)

    monkeypatch.setattr(os, "pread", write_the_rest)
    assert read_apstar(str(path)).records[0].reason is Reason.BEING_WRITTEN
    path.write_bytes(content[: len(content) // 2])
    batch = read_spectra(str(path))
    assert batch.usable.all()
    np.testing.assert_array_equal(batch.flux, read_apstar(str(apstar)).flux)


def test_errors_that_the_fits_library_hides(apstar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library calls a stale handle an unreadable file; the system is asked."""

    def by_library(*arguments: object) -> None:
        Failing(10**6, OSError(errno.EIO, "Input/output error"), monkeypatch)
        raise ReadFailure(Reason.UNREADABLE, "FITSIO status = 108: error reading from FITS file", 1)

    monkeypatch.setattr("apnet_fast.spectra.apstar.read_by_library", by_library)
    assert read_apstar(str(apstar), direct=False).records[0].reason is Reason.IO_ERROR
