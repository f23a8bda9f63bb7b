"""What an INPUT word is, by its name and by what is in the file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.inputs.kinds import InputKind, classify
from apnet_fast.spectra import read_apstar
from apnet_fast.spectra.pack import LOG, Manifest
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
