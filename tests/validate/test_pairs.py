"""Repeated visits are selected and grouped by star."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import fitsio
import numpy as np
import pyarrow as pa
import pytest

from apnet_fast.support.errors import UsageError
from apnet_fast.validate.pairs import Selection, read_repeats
from tests.validate.catalogues import changed, visit_table, with_target_flags, written


def test_rows_are_grouped_by_star(tmp_path: Path) -> None:
    table = visit_table(0, stars=50)
    repeats = read_repeats(written(table, tmp_path / "v.parquet"), Selection())
    assert repeats.star_column == "obj"
    of_star: dict[str, list[float]] = {}
    for obj, teff in zip(table["obj"].to_pylist(), table["teff"].to_pylist(), strict=True):
        of_star.setdefault(obj, []).append(teff)
    expected = sorted(sorted(values) for values in of_star.values() if len(values) > 1)
    starts, teff = repeats.starts, repeats.columns["teff"]
    assert sorted(sorted(teff[a:b].tolist()) for a, b in pairwise(starts)) == expected
    assert repeats.rows == repeats.selected == len(table)


def test_fits_and_parquet_are_the_same(tmp_path: Path) -> None:
    table = visit_table(0, stars=50)
    columns = [column.to_numpy(zero_copy_only=False) for column in table.columns]
    columns = [column.astype("S") if column.dtype == object else column for column in columns]
    with fitsio.FITS(str(tmp_path / "v.fits"), "rw") as file:
        file.write(columns, names=table.column_names)
    a = read_repeats(tmp_path / "v.fits", Selection())
    b = read_repeats(written(table, tmp_path / "v.parquet"), Selection())
    assert np.array_equal(a.starts, b.starts)
    assert all(np.array_equal(a.columns[name], b.columns[name]) for name in b.columns)


@pytest.mark.parametrize(
    ("column", "value", "keep", "dropped"),
    [
        ("result_flags", 4, "clean", True),
        ("result_flags", 4, "not-bad", False),
        ("flag_bad", True, "not-bad", True),
        ("flag_bad", True, "all", False),
        ("teff", np.nan, "all", True),
        ("e_logg", np.nan, "all", True),
        ("e_logg", 0.0, "all", True),
        ("raw_e_fe_h", 0.0, "all", True),
        ("raw_e_teff", 1000.0, "all", True),
        ("raw_e_teff", 999.0, "all", False),
        ("obj", "", "all", True),
    ],
)
def test_what_is_selected(column: str, value: object, keep: str, dropped: bool, tmp_path: Path) -> None:
    table = visit_table(0, stars=50)
    values = table[column].to_pylist()
    values[3] = value
    path = written(changed(table, **{column: values}), tmp_path / "v.parquet")
    assert read_repeats(path, Selection(keep=keep)).selected == len(table) - dropped  # type: ignore[arg-type]


def test_the_percentile_cut_of_the_script(tmp_path: Path) -> None:
    path = written(visit_table(0, stars=400), tmp_path / "v.parquet")
    repeats = read_repeats(path, Selection(percentiles=(5, 95)))
    assert 0.7 < repeats.selected / repeats.rows < 0.78  # 0.9 cubed
    all_teff = read_repeats(path, Selection()).columns["teff"]
    assert repeats.columns["teff"].max() < all_teff.max()


def test_the_best_known_key_identifies_stars(tmp_path: Path) -> None:
    table = visit_table(0, stars=50)
    ids = np.array([int(obj[2:]) + 1 for obj in table["obj"].to_pylist()])
    by_id = changed(table, sdss_id=ids)
    path = written(by_id.append_column("source_pk", pa.array(np.where(ids > 40, ids, -1))), tmp_path / "v.parquet")
    assert read_repeats(path, Selection()).star_column == "sdss_id"
    assert read_repeats(path, Selection(star_column="SOURCE_PK")).stars <= 10
    empty = table.append_column("source_pk", pa.nulls(len(table)))
    assert read_repeats(written(empty, tmp_path / "empty.parquet"), Selection()).star_column == "obj"


@pytest.mark.parametrize(
    ("column", "type_name"), [("flag_bad", "bool"), ("sdss5_target_flags", r"fixed_size_list<\w+: uint8>\[57\]")]
)
def test_a_column_that_names_no_stars_is_refused(column: str, type_name: str, tmp_path: Path) -> None:
    path = written(with_target_flags(visit_table(0, stars=50)), tmp_path / "v.parquet")
    with pytest.raises(UsageError, match=rf"identify stars; got {column} of type {type_name}; expected .*v\.parquet"):
        read_repeats(path, Selection(star_column=column))


def test_of_each_identity_one_row_is_used(tmp_path: Path) -> None:
    """It is the first that passes the selection; rows without identity are never copies."""
    table = visit_table(0, stars=50)
    rows = len(table)
    once = read_repeats(written(table, tmp_path / "once.parquet"), Selection())
    assert once.copies == 0
    for percentiles in (None, (5.0, 95.0)):
        selection = Selection(percentiles=percentiles)
        alone = read_repeats(tmp_path / "once.parquet", selection)
        twice = read_repeats(written(pa.concat_tables([table, table]), tmp_path / "twice.parquet"), selection)
        assert (twice.rows, twice.selected, twice.copies) == (2 * rows, alone.selected, rows)
        assert np.array_equal(twice.starts, alone.starts)
        assert all(np.array_equal(twice.columns[name], alone.columns[name]) for name in alone.columns)
    # A copy is used if the first row does not pass.
    flagged = changed(table, result_flags=np.where(np.arange(rows) % 2, 4, 0))
    both = read_repeats(written(pa.concat_tables([flagged, table]), tmp_path / "both.parquet"), Selection())
    assert (both.selected, both.copies) == (rows, rows - rows // 2)
    empty = changed(table, identity=[""] * rows)
    empty = pa.concat_tables([empty, changed(table, identity=[None] * rows), table])
    nameless = read_repeats(written(empty, tmp_path / "nameless.parquet"), Selection())
    assert (nameless.selected, nameless.copies) == (3 * rows, 0)
    nulls = table.drop_columns(["identity"]).append_column("identity", pa.nulls(rows))
    assert read_repeats(written(nulls, tmp_path / "nulls.parquet"), Selection()).copies == 0


def test_without_a_pair_the_error_counts_what_each_condition_left_out(tmp_path: Path) -> None:
    table = visit_table(0, stars=50)
    rows = len(table)
    null = changed(table, **{f"raw_e_{label}": np.zeros(rows) for label in ("teff", "logg", "fe_h")})
    null = changed(null, result_flags=np.where(np.arange(rows) < 3, 1, 0))
    with pytest.raises(UsageError) as raised:
        read_repeats(written(null, tmp_path / "null.parquet"), Selection())
    said = f"left out: 3 with result_flags set, {rows} with an error that is 0 or not finite;"
    assert said in str(raised.value)
    assert "--draws 0" in str(raised.value)
    assert "AllVisit" not in str(raised.value)
    flagged = changed(table, result_flags=np.ones(rows))
    with pytest.raises(UsageError, match=rf"left out: {rows} with result_flags set;.*--keep"):
        read_repeats(written(flagged, tmp_path / "flagged.parquet"), Selection())


def test_errors_name_the_remedy(tmp_path: Path) -> None:
    table = visit_table(0, stars=50)
    with pytest.raises(UsageError, match="repeats need: raw_e_teff; got columns"):
        read_repeats(written(table.drop_columns(["raw_e_teff"]), tmp_path / "a.parquet"), Selection())
    with pytest.raises(UsageError, match="nowhere"):
        read_repeats(written(table, tmp_path / "b.parquet"), Selection(star_column="nowhere"))
    single = changed(table, obj=table["identity"].to_pylist())
    with pytest.raises(UsageError, match="no star has two spectra"):
        read_repeats(written(single, tmp_path / "c.parquet"), Selection())
    with pytest.raises(UsageError, match=rf"left out: {len(table)} with the identity of an earlier row"):
        read_repeats(written(pa.concat_tables([single, single]), tmp_path / "e.parquet"), Selection())
    with pytest.raises(UsageError, match="no star has two spectra"):
        read_repeats(written(table.slice(0, 0), tmp_path / "d.parquet"), Selection())
    with pytest.raises(UsageError, match="percentiles"):
        Selection(percentiles=(95, 5))
    with pytest.raises(UsageError, match="selection"):
        Selection(keep="good")  # type: ignore[arg-type]
