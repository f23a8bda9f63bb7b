"""Label tables: where columns, rows and unknown values come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.inputs.label_tables import load_labels
from apnet_fast.support.errors import UsageError


def written(file: Path, **columns: list) -> Path:
    pq.write_table(pa.table(columns), file)
    return file


def test_rows_are_found_by_path_before_name(tmp_path: Path) -> None:
    table = written(
        tmp_path / "t.parquet",
        obj=["A", "A", "B"],
        path=["x/a1.fits", "x/a2.fits", "b.fits"],
        teff=[4000.0, 4100.0, 5000.0],
        logg=[1.0, 1.1, 4.0],
        fe_h=[0.0, 0.1, -0.5],
    )
    labels = load_labels([table])
    assert labels.row_of("/somewhere/x/a2.fits", "A") == 1
    assert labels.row_of("/somewhere/y/a2.fits", "A") == 0
    assert labels.row_of("/somewhere/c.fits", "C") is None
    assert labels.repeated == 1
    assert np.isnan(labels.photometry).all()


def test_unknown_values_are_nan(tmp_path: Path) -> None:
    table = written(
        tmp_path / "t.parquet",
        APOGEE_ID=[" A ", "B", "C"],
        TEFF=[-9999.0, 5000.0, 0.0],
        LOGG=[1.0, None, -0.5],
        FE_H=[float("inf"), -2.0, 0.3],
        K_MAG=[9.0, 10.0, 11.0],
    )
    labels = load_labels([table])
    np.testing.assert_array_equal(labels.values, [[np.nan, 1.0, np.nan], [5000.0, np.nan, -2.0], [np.nan, -0.5, 0.3]])
    assert labels.row_of("", "A") == 0
    np.testing.assert_array_equal(labels.photometry[:, 6], [9.0, 10.0, 11.0])


def test_csv_and_other_names_and_several_tables(tmp_path: Path) -> None:
    first = tmp_path / "one.csv"
    first.write_text("star,T,logg,fe_h\nA,4000,1,0\n")
    second = tmp_path / "two.csv"
    second.write_text("star,T,logg,fe_h\nB,6000,4,\n")
    labels = load_labels([first, second], {"obj": "star", "teff": "t"})
    assert labels.row_of("", "B") == 1
    np.testing.assert_array_equal(labels.values, [[4000, 1, 0], [6000, 4, np.nan]])
    assert len(labels.sha256) == 2


@pytest.mark.parametrize(
    ("columns", "asked", "words"),
    [
        ({"obj": ["A"], "teff": [1.0], "logg": [1.0]}, {}, "lacks the column fe_h"),
        ({"teff": [1.0], "logg": [1.0], "fe_h": [1.0]}, {}, "identify the star"),
        ({"obj": ["A"], "teff": ["hot"], "logg": [1.0], "fe_h": [1.0]}, {}, "no numbers"),
        ({"obj": ["A"], "teff": [1.0], "logg": [1.0], "fe_h": [1.0]}, {"mass": "m"}, "unknown label column"),
        ({"obj": ["A"], "teff": [1.0], "logg": [1.0], "fe_h": [1.0]}, {"obj": "name"}, "lacks the column name"),
    ],
)
def test_tables_that_do_not_do(tmp_path: Path, columns: dict, asked: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_labels([written(tmp_path / "t.parquet", **columns)], asked)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["labels.csv", "labels.parquet"])
def test_what_is_no_file_is_refused_and_not_waited_for(
    name: str, put_no_file: Callable[[Path], None], tmp_path: Path
) -> None:
    put_no_file(tmp_path / name)
    with pytest.raises(UsageError, match=r"labels\."):
        load_labels([tmp_path / name], {})
