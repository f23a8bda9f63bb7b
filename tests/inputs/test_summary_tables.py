"""Summary tables: which HDU, which columns, what becomes of their types, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from apnet_fast.inputs import fits_tables as tables
from apnet_fast.inputs.summary_tables import read_table, table_columns
from apnet_fast.support.errors import UsageError

ROWS = 7


def allstar_rows(rows: int = ROWS) -> NDArray[np.void]:
    """A table of every type that summary files use; no two values of a column are equal."""
    forms = [("APOGEE_ID", "S18"), ("NVISITS", "i2"), ("STARFLAG", "i8"), ("SNR", "f4"), ("RA", "f8")]
    table = np.zeros(rows, [*forms, ("GOOD", "?"), ("FPARAM", "f4", (3,)), ("FPARAM_COV", "f4", (2, 2))])
    number = np.arange(rows)
    table["APOGEE_ID"] = [f" 2M{i:05d}  " for i in number]
    table["NVISITS"], table["STARFLAG"] = number, number + 2**40
    table["SNR"], table["RA"] = number + 0.5, number / 7
    table["GOOD"] = number % 2 == 0
    table["FPARAM"] = number[:, None] * 10 + np.arange(3)
    table["FPARAM_COV"] = number[:, None, None] * 10 + np.arange(4).reshape(2, 2)
    return table


def write_fits(path: Path, *hdus: tuple[NDArray[np.void], dict[str, str]]) -> Path:
    """Tables and their cards, one HDU each."""
    with fitsio.FITS(str(path), "rw", clobber=True) as file:
        for table, cards in hdus:
            file.write(table, header=cards)
    return path


def expected_columns(rows: int = ROWS) -> dict[str, list[object]]:
    return {
        "apogee_id": [f"2M{i:05d}" for i in range(rows)],
        "nvisits": list(range(rows)),
        "starflag": [i + 2**40 for i in range(rows)],
        "snr": [i + 0.5 for i in range(rows)],
        "ra": [i / 7 for i in range(rows)],
        "good": [i % 2 == 0 for i in range(rows)],
        "fparam": [[10.0 * i, 10.0 * i + 1, 10.0 * i + 2] for i in range(rows)],
        "fparam_cov": [[10.0 * i + j for j in range(4)] for i in range(rows)],
    }


@pytest.mark.parametrize("bytes_at_once", [100_000, 300, 100])
def test_a_fits_table_in_pieces_of_any_size(
    bytes_at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_BYTES_AT_ONCE", bytes_at_once)
    table = read_table(write_fits(tmp_path / "allStar.fits", (allstar_rows(), {})))
    assert table.to_pydict() == expected_columns()
    assert [str(field.type) for field in table.schema][:6] == ["string", "int16", "int64", "float", "double", "bool"]
    assert table.schema.field("fparam_cov").type == pa.list_(pa.float32(), 4)


def test_a_table_packed_with_gzip(tmp_path: Path) -> None:
    plain = write_fits(tmp_path / "allStar.fits", (allstar_rows(), {}))
    packed = tmp_path / "mwmAllStar.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_table(packed).equals(read_table(plain))


def test_only_the_columns_asked_for_in_any_case(tmp_path: Path) -> None:
    path = write_fits(tmp_path / "allStar.fits", (allstar_rows(), {}))
    table = read_table(path, ["snr", "APOGEE_ID"])
    assert table.column_names == ["apogee_id", "snr"]
    assert table["snr"].to_pylist() == expected_columns()["snr"]
    # One name alone is another way through the FITS library.
    assert read_table(path, ["snr"]).to_pydict() == {"snr": expected_columns()["snr"]}
    assert table_columns(path) == tuple(expected_columns())


def test_parquet_reads_as_fits_does(tmp_path: Path) -> None:
    fits = read_table(write_fits(tmp_path / "allStar.fits", (allstar_rows(), {})))
    names = [name.upper() for name in fits.column_names]
    written = fits.rename_columns(names)
    padded = pa.array([f"2M{i:05d}   " for i in range(ROWS)]).dictionary_encode()
    pq.write_table(written.set_column(0, "APOGEE_ID", padded), tmp_path / "a_table")
    assert read_table(tmp_path / "a_table").to_pydict() == fits.to_pydict()
    assert read_table(tmp_path / "a_table", ["Snr"]).to_pydict() == {"snr": expected_columns()["snr"]}
    assert table_columns(tmp_path / "a_table") == tuple(fits.column_names)


def test_allstar_has_its_rows_first_and_a_row_of_names_last(tmp_path: Path) -> None:
    names = np.array([(b"TEFF",)], dtype=[("PARAM_SYMBOL", "S8")])
    path = write_fits(tmp_path / "allStar.fits", (allstar_rows(), {}), (names, {}))
    assert read_table(path).num_rows == ROWS
    # Negative twin: with fewer rows than the names it is not the one that is taken.
    path = write_fits(tmp_path / "short.fits", (allstar_rows(1), {}), (np.repeat(names, 2), {}))
    assert read_table(path).column_names == ["param_symbol"]


@pytest.mark.parametrize("rows_of_boss", [0, 3, 100])
def test_astra_tables_have_the_infrared_spectra_second(rows_of_boss: int, tmp_path: Path) -> None:
    boss = np.zeros(rows_of_boss, dtype=[("run2d", "S6")])
    cards = ({"INSTRMNT": "BOSS"}, {"INSTRMNT": "APOGEE"})
    path = write_fits(tmp_path / "mwmAllStar.fits", (boss, cards[0]), (allstar_rows(), cards[1]))
    assert read_table(path).num_rows == ROWS
    # Even where it is empty, as in DR20.
    path = write_fits(tmp_path / "empty.fits", (boss, cards[0]), (allstar_rows(0), cards[1]))
    empty = read_table(path)
    assert empty.num_rows == 0
    assert empty.schema == read_table(write_fits(tmp_path / "allStar.fits", (allstar_rows(), {}))).schema


def test_missing_columns_are_named_with_those_that_are_there(tmp_path: Path) -> None:
    path = write_fits(tmp_path / "allStar.fits", (allstar_rows(), {}))
    with pytest.raises(UsageError, match=r"lacks columns: healpix, uri; got columns apogee_id, nvisits.*Remedy"):
        read_table(path, ["snr", "uri", "healpix"])


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("snr 1 2 3")
    (tmp_path / "empty").touch()
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    with fitsio.FITS(str(tmp_path / "image.fits"), "rw") as file:
        file.write(np.zeros((2, 8575), "f4"))
    whole = write_fits(tmp_path / "whole.fits", (allstar_rows(), {})).read_bytes()
    (tmp_path / "cut.fits").write_bytes(whole[:4000])
    long = write_fits(tmp_path / "long.fits", (allstar_rows(500), {})).read_bytes()
    (tmp_path / "cut_rows.fits").write_bytes(long[:20000])
    (tmp_path / "cut.fits.gz").write_bytes(gzip.compress(whole)[:300])
    (tmp_path / "latin.fits").write_bytes(whole.replace(b"2M00003", b"2M\xe9\xe90003"[:7]))
    for name, message in [
        ("notes.txt", "not a table"),
        ("empty", "not a table"),
        ("gone.fits", "cannot read the table"),
        (".", "cannot read the table"),
        ("cut.parquet", "cannot read the Parquet"),
        ("image.fits", "holds no table"),
        ("cut.fits", "ends inside the header of HDU 1.*fetch the file again"),
        ("cut_rows.fits", "ends at byte.*fetch the file again"),
        ("cut.fits.gz", "cannot read the table"),
        ("latin.fits", "APOGEE_ID cannot be read.*expected ASCII text"),
    ]:
        with pytest.raises(UsageError, match=message):
            read_table(tmp_path / name)
