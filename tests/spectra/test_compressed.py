"""Compressed files are the plain ones, bombs are not unpacked, and damage has its reason."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fitsio
import numpy as np
import pytest

from apnet_fast.spectra import compressed, read_spectra
from apnet_fast.spectra.batch import SpectrumBatch
from apnet_fast.spectra.failures import Reason
from apnet_fast.spectra.pack import Manifest, read_pack, write_pack_file
from tests.spectra.files import FORMS, NAME
from tests.spectra.mwm_files import name_of, rows_like, write_mwm


def assert_same_spectra(got: SpectrumBatch, expected: SpectrumBatch) -> None:
    path = expected.records[0].path
    assert repr([replace(record, path=path) for record in got.records]) == repr(list(expected.records))
    for mine, theirs in ((got.flux, expected.flux), (got.error, expected.error)):
        np.testing.assert_array_equal(mine.view("u4"), theirs.view("u4"))


def gzipped(path: Path, name: str) -> Path:
    target = path.with_name(name)
    target.write_bytes(gzip.compress(path.read_bytes(), 1))
    return target


def fpacked(path: Path, name: str) -> Path:
    """What `fpack -g -q 0` makes: the images in tiles, without loss."""
    target = path.with_name(name)
    with fitsio.FITS(str(path)) as plain, fitsio.FITS(str(target), "rw", clobber=True) as packed:
        packed.write(None, header=plain[0].read_header())
        for hdu in list(plain)[1:]:
            if isinstance(hdu, fitsio.hdu.ImageHDU):
                packed.write(hdu.read(), header=hdu.read_header(), compress="gzip", qlevel=None)
            else:
                packed.write(hdu.read(), header=hdu.read_header())
    return target


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    ("pack", "suffix"), [(gzipped, ".gz"), (fpacked, ".fz"), (gzipped, "")], ids=["gz", "fz", "no suffix"]
)
def test_every_form_is_the_plain_file(
    name: str, pack: Callable[[Path, str], Path], suffix: str, tmp_path: Path
) -> None:
    plain = FORMS[name].write(tmp_path / NAME)
    expected = read_spectra(str(plain))
    target = pack(plain, f"{NAME}{suffix}" if suffix else "new.fits")
    if not suffix:
        target.rename(plain)
        target = plain
    assert expected.usable.any()
    assert_same_spectra(read_spectra(str(target)), expected)


def test_mwm_files_and_packs_of_compressed_files(tmp_path: Path) -> None:
    plain = FORMS["dr17, two visits"].write(tmp_path / NAME)
    mwm = write_mwm(tmp_path / name_of("visit"), rows_like(read_spectra(str(plain)), "visit"))
    packed = read_spectra(str(gzipped(mwm, mwm.name + ".gz")))
    assert_same_spectra(packed, read_spectra(str(mwm)))
    renamed = mwm.with_name("mine.fits.gz")
    renamed.write_bytes(gzip.compress(mwm.read_bytes()))
    assert_same_spectra(read_spectra(str(renamed)), read_spectra(str(mwm)))
    batch = read_spectra(str(gzipped(plain, NAME + ".gz")))
    Manifest("", 0, {"0.arrow": write_pack_file(tmp_path / "0.arrow", batch)}, 6).write(tmp_path)
    assert repr(read_pack(str(tmp_path / "0.arrow")).records) == repr(batch.records)


def reason_of(path: Path) -> tuple[Reason | None, str]:
    record = read_spectra(str(path)).records[0]
    return record.reason, record.text


def test_damaged_gzip_files_have_their_reason(tmp_path: Path) -> None:
    plain = FORMS["legacy, one visit"].write(tmp_path / NAME)
    path = tmp_path / (NAME + ".gz")
    whole = gzip.compress(plain.read_bytes())
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    wrong_sum = bytearray(whole)
    wrong_sum[-6] ^= 1
    for content, reason in (
        (whole[: len(whole) // 2], Reason.TRUNCATED),
        (whole[:8], Reason.TRUNCATED),
        (bytes(damaged), Reason.UNREADABLE),
        (bytes(wrong_sum), Reason.UNREADABLE),
        (gzip.compress(b"a page"), Reason.NOT_FITS),
        (gzip.compress(plain.read_bytes()[:-2880]), Reason.TRUNCATED),
    ):
        path.write_bytes(content)
        assert reason_of(path)[0] is reason


@pytest.mark.parametrize("name", [NAME + ".gz", "mwmStar-0.6.0-1.fits.gz", "mine.fits"])
def test_a_bomb_is_not_unpacked_beyond_the_limit(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "MOST_BYTES", 8 << 20)
    packer = zlib.compressobj(9, wbits=31)
    megabyte = bytes(1 << 20)
    parts = [
        packer.compress(b"SIMPLE  =                    T".ljust(2880)),
        *(packer.compress(megabyte) for _ in range(64)),
    ]
    (tmp_path / name).write_bytes(b"".join([*parts, packer.flush()]))
    reason, text = reason_of(tmp_path / name)
    assert reason is Reason.BAD_LAYOUT
    assert "unpacks to more than 8 MiB" in text


def test_the_limit_holds_every_star() -> None:
    # DR17: 0.505 MB per visit.
    assert 0.505e6 * 1000 < compressed.MOST_BYTES < 1 << 30
