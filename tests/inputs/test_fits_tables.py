"""FITS tables as files: which HDU, packed and damaged ones, and those that hold no rows."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from apnet_fast.inputs.summary_tables import open_table, read_table
from apnet_fast.support.errors import UsageError


def hdu(rows: int, name: str = "X") -> fits.BinTableHDU:
    return fits.BinTableHDU.from_columns([fits.Column(name, "J", array=np.arange(rows))])


def written(path: Path, *hdus: fits.hdu.base.ExtensionHDU) -> Path:
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path, overwrite=True)
    return path


def test_names_and_rows_are_known_from_one_opening(tmp_path: Path) -> None:
    with open_table(written(tmp_path / "t.fits", hdu(5))) as table:
        assert (table.columns, table.rows) == (("x",), 5)
        assert table.read(["X"])["x"].to_pylist() == [0, 1, 2, 3, 4]


def test_a_first_table_without_rows_is_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path / "t.fits", hdu(0, "EMPTY"), hdu(3))
    assert read_table(path).to_pydict() == {"x": [0, 1, 2]}


def test_columns_without_a_name_are_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path / "t.fits", hdu(2))
    path.write_bytes(path.read_bytes().replace(b"TTYPE1  = 'X       '", b"TTYPE1  = '        '"))
    assert read_table(path).column_names == []


def test_tables_packed_with_fpack_are_named(tmp_path: Path) -> None:
    table = hdu(3)
    table.header["ZTABLE"] = True
    with pytest.raises(UsageError, match=r"packed with fpack.*funpack"):
        read_table(written(tmp_path / "t.fits", table))


def test_a_packed_image_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no table"):
        read_table(written(tmp_path / "t.fits", fits.CompImageHDU(np.ones((10, 10)))))


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_that_was_cut_is_told_to_be_fetched_again(packed: bool, tmp_path: Path) -> None:
    whole = written(tmp_path / "t.fits", hdu(5000)).read_bytes()
    (tmp_path / "cut.fits").write_bytes(gzip.compress(whole)[:4000] if packed else whole[:10_000])
    with pytest.raises(UsageError, match="fetch the file again"):
        read_table(tmp_path / "cut.fits")


@pytest.mark.parametrize(
    ("card", "value"),
    [
        ("NAXIS1", "5"),
        ("NAXIS1", "99999999999"),
        ("NAXIS2", "999999999999999"),
        ("NAXIS2", "-1"),
        ("GCOUNT", "1000000000000000000"),
        ("NAXIS1", "1000000000000000000"),
        ("TFIELDS", "9999"),
        ("TFIELDS", "2"),
        ("TFORM1", "'7Y'"),
        ("TFORM1", "'99999999999J'"),
    ],
)
def test_damaged_cards_are_told_and_nothing_is_allocated_for_them(card: str, value: str, tmp_path: Path) -> None:
    path = written(tmp_path / "t.fits", hdu(5))
    lines = path.read_bytes()
    start = lines.index(card.ljust(8).encode() + b"=", 2880)
    path.write_bytes(lines[: start + 10] + value.rjust(20).ljust(70).encode() + lines[start + 80 :])
    with pytest.raises(UsageError, match="cannot read the table"):
        read_table(path)


def colfits(path: Path, columns: dict[str, np.ndarray], texts: dict[str, list[str]], dims: bool = True) -> Path:
    """A column-oriented table as STILTS writes it: the rows are the last axis of each column of one row."""
    made = []
    for name, values in columns.items():
        axes = f"({','.join(map(str, values.shape[::-1]))})" if dims else None
        form = {"f": "E", "i": "J"}[values.dtype.kind]
        made.append(fits.Column(name, f"{values.size}{form}", dim=axes, array=values[np.newaxis]))
    for name, each in texts.items():
        width = max(map(len, each))
        text = "".join(word.ljust(width) for word in each)
        made.append(fits.Column(name, f"{len(text)}A", dim=f"({width},{len(each)})", array=np.array([each])))
    return written(path, fits.BinTableHDU.from_columns(made))


@pytest.mark.parametrize("vectors", [False, True])
def test_column_oriented_files_are_told_whatever_their_columns_hold(vectors: bool, tmp_path: Path) -> None:
    columns = {"ra": np.arange(4, dtype=np.float32), "nvisits": np.arange(4, dtype=np.int32)}
    if vectors:
        columns |= {"fparam": np.zeros((4, 9), np.float32), "cov": np.zeros((4, 9, 9), np.float32)}
    path = colfits(tmp_path / "c.fits", columns, {"apogee_id": ["2M1", "2M22", "2M333", ""]})
    with pytest.raises(UsageError, match=r"colfits.*stilts tpipe"):
        read_table(path, ["ra"])


def test_one_row_with_vectors_of_other_lengths_is_a_row(tmp_path: Path) -> None:
    columns = {
        "teff": np.float32([5000]),
        "fparam": np.arange(9, dtype=np.float32),
        "cov": np.zeros((9, 4), np.float32),
    }
    path = colfits(tmp_path / "r.fits", columns, {"apogee_id": ["2M1"]})
    assert read_table(path, ["teff"])["teff"].to_pylist() == [5000.0]
    assert read_table(path, ["fparam"])["fparam"].to_pylist() == [list(range(9))]


@pytest.mark.skipif(shutil.which("stilts") is None, reason="no STILTS here")
def test_column_oriented_files_of_stilts_are_told(tmp_path: Path) -> None:
    rows = fits.BinTableHDU.from_columns(
        [
            fits.Column("APOGEE_ID", "18A", array=np.array(["2M1", "2M2", "2M3"])),
            fits.Column("FPARAM", "9E", array=np.zeros((3, 9))),
            fits.Column("STARFLAG", "J", array=np.arange(3)),
            fits.Column("GOOD", "L", array=np.ones(3, bool)),
        ]
    )
    out = tmp_path / "c.fits"
    command = ["stilts", "tpipe", f"in={written(tmp_path / 't.fits', rows)}", f"out={out}", "ofmt=colfits-basic"]
    subprocess.run(command, check=True, timeout=120)
    with pytest.raises(UsageError, match=r"colfits.*stilts tpipe"):
        read_table(out, ["starflag"])
