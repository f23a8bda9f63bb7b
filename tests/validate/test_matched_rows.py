"""Rows of two catalogues are matched by what identifies a spectrum, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from apnet_fast.support.errors import UsageError
from apnet_fast.validate.compare import compare_catalogues
from apnet_fast.validate.matched_rows import match_rows
from tests.validate.catalogues import changed, visit_table, with_target_flags, written


@pytest.fixture
def a(tmp_path: Path) -> Path:
    """A catalogue to match others with."""
    return written(visit_table(0, stars=60), tmp_path / "a.parquet")


def test_common_rows_come_in_the_order_of_the_first(a: Path, tmp_path: Path) -> None:
    table = visit_table(0, stars=60)
    other = table.slice(5).take(np.arange(len(table) - 5)[::-1])
    b = written(changed(other, teff=other["teff"].to_numpy() + 1), tmp_path / "b.parquet")
    rows = match_rows(a, b, ["teff"])
    assert (len(rows), rows.only_a, rows.only_b, rows.ambiguous) == (len(table) - 5, 5, 0, 0)
    np.testing.assert_array_equal(rows.a["teff"], table["teff"].to_numpy()[5:])
    np.testing.assert_array_equal(rows.b["teff"], rows.a["teff"] + 1)
    assert rows.name(0) == table["identity"][5].as_py()


def test_stars_and_visits_are_not_compared(tmp_path: Path) -> None:
    table = visit_table(0, stars=60)
    visits = written(table, tmp_path / "visits.parquet", PRODUCT="visit")
    stars = written(table.drop_columns(["mjd", "fiber"]), tmp_path / "stars.parquet", PRODUCT="star")
    with pytest.raises(UsageError, match=r"one catalogue is of stars and one of visits.*stars\.parquet of stars"):
        compare_catalogues(stars, visits)
    released = table.drop_columns(["mjd", "fiber"]).append_column("min_mjd", table["mjd"])
    with pytest.raises(UsageError, match="one catalogue is of stars"):
        compare_catalogues(visits, written(released, tmp_path / "released.parquet"))
    # With `on`, or for the same product, the catalogues are not refused.
    assert compare_catalogues(stars, visits, on=["identity"]).common == len(table)
    assert compare_catalogues(visits, visits).common == len(table)


def test_released_files_are_matched_by_names_of_star_and_visit(a: Path, tmp_path: Path) -> None:
    released = written(visit_table(0, stars=60).drop_columns(["identity"]), tmp_path / "b.parquet")
    found = compare_catalogues(a, released)
    assert found.key == ("obj", "telescope", "field", "mjd", "fiber")
    assert found.common == found.rows_a
    assert compare_catalogues(a, released, on=("obj", "MJD")).common == found.rows_a
    stars = compare_catalogues(a, released, on=["obj"])
    assert stars.ambiguous + stars.common == found.rows_a
    assert stars.common < found.rows_a


def test_a_column_that_is_no_text_names_no_spectra(tmp_path: Path) -> None:
    path = written(with_target_flags(visit_table(0, stars=60)), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match=r"name spectra; got sdss5_target_flags of type fixed_size_list.*a\.parquet"):
        compare_catalogues(path, path, on=["identity", "sdss5_target_flags"])
    assert compare_catalogues(path, path, on=["identity", "flag_bad", "teff"]).common == len(visit_table(0, stars=60))


def test_a_key_that_is_never_unique_is_not_said_to_have_nothing_in_common(tmp_path: Path) -> None:
    table = visit_table(0, stars=60)
    rows = len(table)
    a = written(pa.concat_tables([table, table]), tmp_path / "a.parquet")
    said = f"A {2 * rows} of {2 * rows} rows, B 0 of {rows} rows share their identity with another row"
    with pytest.raises(UsageError, match=rf"does not identify spectra.*{said}.*--on identity,") as raised:
        compare_catalogues(a, written(table, tmp_path / "b.parquet"))
    assert "no spectrum in common" not in str(raised.value)
    with pytest.raises(UsageError, match=r"share their telescope with.*Remedy: .*--on telescope,"):
        compare_catalogues(a, a, on=["telescope"])
