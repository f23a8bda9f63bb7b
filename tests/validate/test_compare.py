"""`validate compare` finds what differs between two catalogues, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apnet_fast.support.errors import UsageError
from apnet_fast.validate.compare import compare_catalogues
from tests.validate.catalogues import changed, visit_table, written


@pytest.fixture
def a(tmp_path: Path) -> Path:
    """A catalogue to compare others with."""
    return written(visit_table(0, stars=60), tmp_path / "a.parquet")


def test_a_catalogue_equals_itself_in_any_order(a: Path, tmp_path: Path) -> None:
    table = visit_table(0, stars=60)
    b = written(table.take(np.arange(len(table))[::-1]), tmp_path / "b.parquet")
    found = compare_catalogues(a, b, tolerance=0.0)
    assert (found.common, found.only_a, found.only_b, found.ambiguous) == (len(table), 0, 0, 0)
    assert found.key == ("identity",)
    assert found.share_beyond == 0
    assert [one.largest for one in found.labels] == [0, 0, 0]
    assert found.outliers == ()


def test_bias_scatter_and_outliers_of_a_label(a: Path, tmp_path: Path) -> None:
    table = visit_table(0, stars=60)
    rng = np.random.default_rng(0)
    logg = table["logg"].to_numpy() + 0.03 + 0.01 * rng.standard_normal(len(table))
    logg[5] += 3
    b = written(changed(table, logg=logg.astype(np.float32)), tmp_path / "b.parquet")
    found = compare_catalogues(a, b, tolerance=5.0, outliers=1)
    teff, difference, _ = found.labels
    assert difference.bias == pytest.approx(0.03, abs=0.004)
    assert difference.scatter == pytest.approx(0.01, rel=0.35)
    assert difference.largest == pytest.approx(3, abs=0.1)
    assert difference.beyond[3] == pytest.approx(1 / len(table))
    assert teff.largest == 0
    assert found.share_beyond == pytest.approx(1 / len(table))
    assert found.outliers[0].label == "logg"
    assert found.outliers[0].key == table["identity"][5].as_py()
    # The twin: the other way round the bias has the other sign.
    assert compare_catalogues(b, a).labels[1].bias == pytest.approx(-difference.bias)


def test_rows_in_one_only_and_names_that_are_not_unique(a: Path, tmp_path: Path) -> None:
    table = visit_table(0, stars=60)
    names = table["identity"].to_pylist()
    names[0], names[1], names[2] = names[3], "somewhere else", "elsewhere"
    b = written(changed(table, identity=names), tmp_path / "b.parquet")
    found = compare_catalogues(a, b)
    assert (found.only_a, found.only_b) == (3, 2)
    assert found.ambiguous == 1
    assert found.common == len(table) - 4


def test_labels_that_are_nan_in_one(a: Path, tmp_path: Path) -> None:
    table = visit_table(0, stars=60)
    teff = table["teff"].to_numpy().copy()
    teff[[1, 4]] = np.nan
    b = written(changed(table, teff=teff), tmp_path / "b.parquet")
    found = compare_catalogues(a, b)
    assert (found.labels[0].only_a, found.labels[0].only_b) == (2, 0)
    assert found.share_beyond == pytest.approx(2 / len(table))
    assert compare_catalogues(b, b).share_beyond == 0


def test_errors_name_the_remedy(a: Path, tmp_path: Path) -> None:
    table = visit_table(0, stars=60)
    with pytest.raises(UsageError, match="columns to compare: raw_e_teff; got columns"):
        compare_catalogues(a, written(table.drop_columns(["raw_e_teff"]), tmp_path / "b.parquet"))
    with pytest.raises(UsageError, match="nowhere"):
        compare_catalogues(a, a, on=["nowhere"])
    other = written(changed(table, identity=[f"x{i}" for i in range(len(table))]), tmp_path / "c.parquet")
    with pytest.raises(UsageError, match="no spectrum in common"):
        compare_catalogues(a, other)
