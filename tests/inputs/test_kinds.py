"""What an INPUT word is, by its name and by what is in the file."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.inputs import kinds
from apnet_fast.inputs.kinds import InputKind, classify
from apnet_fast.spectra import read_apstar
from apnet_fast.spectra.pack import LOG, Manifest
from apnet_fast.support.errors import UsageError
from tests.inputs.survey_tables import of_reduction, records_of, write
from tests.spectra.mwm_files import name_of, rows_like, write_mwm


@pytest.fixture(scope="module")
def star(tree: Path) -> Path:
    return Path(min(record.path for record in records_of(tree)))


def test_tables_and_spectra_are_told_apart_by_what_is_in_them(star: Path, tree: Path, tmp_path: Path) -> None:
    table = write(tmp_path / "allStar.fits", of_reduction(records_of(tree), "star"))
    disguised = shutil.copy(table, tmp_path / "apStar-dr17-2M1.fits")
    parquet = tmp_path / "a_table"
    pq.write_table(pa.table({"file": ["a"]}), parquet)
    for path in (table, disguised, parquet):
        assert classify(str(path)) is InputKind.TABLE
    named_like_a_table = shutil.copy(star, tmp_path / "allStar-mine.fits")
    with fitsio.FITS(str(tmp_path / "one.fits"), "rw") as file:
        file.write(np.zeros(3))
    (tmp_path / "text.fits").write_text("text")
    for path in (star, named_like_a_table, tmp_path / "one.fits", tmp_path / "text.fits", tmp_path / "gone.fits"):
        assert classify(str(path)) is InputKind.SPECTRA


@pytest.mark.parametrize("kind", ["star", "visit"])
@pytest.mark.parametrize("rows", ["apo", "lco", "none"])
def test_mwm_files_of_any_name_are_spectra(kind: str, rows: str, star: Path, tmp_path: Path) -> None:
    spectra = rows_like(read_apstar(str(star)), kind)  # type: ignore[arg-type]
    for name in (name_of(kind), "mine.fits"):  # type: ignore[arg-type]
        path = write_mwm(tmp_path / name, **({} if rows == "none" else {rows: spectra}))
        # A star without APOGEE spectra has tables without columns, so that its name alone tells what it is.
        unnamed_and_empty = rows == "none" and name == "mine.fits"
        assert classify(str(path)) is (InputKind.TABLE if unnamed_and_empty else InputKind.SPECTRA)


def test_names_of_what_is_no_file(tmp_path: Path) -> None:
    for name in ("folder", "pack", "begun"):
        (tmp_path / name).mkdir()
    Manifest("", 0, {}, 6).write(tmp_path / "pack")
    (tmp_path / "begun" / LOG).touch()
    (tmp_path / "notes.txt").write_text("notes")
    os.mkfifo(tmp_path / "pipe.fits")
    (tmp_path / "zero.fits").symlink_to("/dev/zero")
    expected = {
        "pipe.fits": InputKind.NO_FILE,
        "zero.fits": InputKind.NO_FILE,
        "@list.txt": InputKind.LIST,
        "folder": InputKind.FOLDER,
        "pack": InputKind.PACK,
        "begun": InputKind.UNFINISHED_PACK,
        "notes.txt": InputKind.OTHER,
        "gone": InputKind.NOTHING,
    }
    assert {name: classify(name if name[0] == "@" else str(tmp_path / name)) for name in expected} == expected


@pytest.mark.parametrize("call", ["open", "stat"])
@pytest.mark.parametrize("error", [errno.ESTALE, errno.EIO, errno.ETIMEDOUT])
@pytest.mark.parametrize("failures", [1, 100])
def test_what_a_word_is_does_not_depend_on_the_moment(
    call: str, error: int, failures: int, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = str(write(tmp_path / "allStar.fits", of_reduction(records_of(tree), "star")))
    left, real = [failures], getattr(os, call)

    def failing(path: str | int, *rest: object, **options: object) -> object:
        if left[0] and str(path).endswith(".fits"):
            left[0] -= 1
            raise OSError(error, os.strerror(error))
        return real(path, *rest, **options)

    monkeypatch.setattr(os, call, failing)
    monkeypatch.setattr(kinds, "_PAUSES", (0, 0))
    if failures == 1:
        assert classify(table) is InputKind.TABLE
    else:
        with pytest.raises(UsageError, match=r"cannot be told what this input is.*allStar\.fits.*same command again"):
            classify(table)
        # A name of the survey tells; such a file gets its row, and a reason.
        assert classify(str(tmp_path / "apStar-dr17-2M1.fits")) is InputKind.SPECTRA
        assert classify(str(tmp_path / "mwmStar-0.6.0-5.fits")) is InputKind.SPECTRA


def test_files_that_are_not_there_or_not_for_us_are_no_matter_of_the_moment(tmp_path: Path) -> None:
    assert classify(str(tmp_path / "gone.fits")) is InputKind.SPECTRA
    assert classify(str(tmp_path / "gone" / "gone.txt")) is InputKind.NOTHING
    assert classify("zero\0byte.fits") is InputKind.SPECTRA
