"""`validate compare`: what differs between two catalogues is found, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from apnet_fast.support.errors import UsageError
from apnet_fast.validate.__main__ import app
from apnet_fast.validate.compare import compare_catalogues
from tests.validate.catalogues import changed, visit_table, with_target_flags, written


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


def test_flags_bit_by_bit(a: Path, tmp_path: Path) -> None:
    table = visit_table(0, stars=60)
    flags = np.zeros(len(table), dtype=np.int64)
    flags[:3], flags[7] = 64, 1 << 20
    before = written(changed(table, result_flags=np.where(np.arange(len(table)) < 2, 65, 0)), tmp_path / "c.parquet")
    after = written(changed(table, result_flags=flags, flag_warn=flags > 0), tmp_path / "b.parquet")
    moved = {
        one.flag: (one.both, one.only_a, one.only_b, one.neither) for one in compare_catalogues(before, after).flags
    }
    rest = len(table)
    assert moved["0 TEFF_UNRELIABLE"] == (0, 2, 0, rest - 2)
    assert moved["6 E_TEFF_LARGE"] == (2, 0, 1, rest - 3)
    assert moved["bit 20"] == (0, 0, 1, rest - 1)
    assert moved["flag_warn"] == (0, 0, 4, rest - 4)
    assert moved["11 NO_RESULT"] == (0, 0, 0, rest)


def test_bits_of_different_tables_are_not_compared(a: Path, tmp_path: Path) -> None:
    b = written(visit_table(0, stars=60), tmp_path / "b.parquet", flag_table="astra-0.6")
    found = compare_catalogues(a, b)
    assert [one.flag for one in found.flags] == ["flag_warn", "flag_bad"]
    assert "page in A, astra-0.6 in B" in found.text()


def test_bits_have_names_only_where_both_tables_are_the_same(a: Path, tmp_path: Path) -> None:
    table = changed(visit_table(0, stars=60), result_flags=np.arange(len(visit_table(0, stars=60))) % 2)
    page = written(table, tmp_path / "page.parquet")
    silent = written(table, tmp_path / "silent.parquet", flag_table="")
    mine = written(table, tmp_path / "mine.parquet", flag_table="mine")
    masks = ["flag_warn", "flag_bad"]
    for pair, said in (((page, silent), "A uses table page, and B does not"), ((silent, page), "B uses table page")):
        found = compare_catalogues(*pair)
        assert [one.flag for one in found.flags] == [*masks, "bit 0"]
        assert said in found.text()
    for each, said in ((silent, "Neither catalogue says"), (mine, "table mine is none of this package's")):
        found = compare_catalogues(each, each)
        assert [one.flag for one in found.flags] == [*masks, "bit 0"]
        assert said in found.text()
    assert "page in A, mine in B" in compare_catalogues(page, mine).note
    assert compare_catalogues(page, page).note == ""


@pytest.mark.parametrize(
    ("cards", "name"),
    [
        ({"V_ASTRA": "0.6.0", "PIPELINE": "ApogeeNet"}, "3 UNRELIABLE_FE_H"),
        ({"V_ASTRA": "0.6.0", "PIPELINE": "ApogeeNetV2"}, "3 E_TEFF_UNRELIABLE"),
        ({"V_ASTRA": "", "PIPELINE": "ApogeeNetV2"}, None),
    ],
)
def test_released_files_have_the_table_of_their_pipeline(
    cards: dict[str, str], name: str | None, tmp_path: Path
) -> None:
    released = written(visit_table(0, stars=60), tmp_path / "r.parquet", flag_table="", **cards)
    flags = [one.flag for one in compare_catalogues(released, released).flags]
    assert flags == ["flag_warn", "flag_bad"] if name is None else name in flags


def test_stars_and_visits_are_not_compared(tmp_path: Path) -> None:
    table = visit_table(0, stars=60)
    visits = written(table, tmp_path / "visits.parquet", PRODUCT="visit")
    stars = written(table.drop_columns(["mjd", "fiber"]), tmp_path / "stars.parquet", PRODUCT="star")
    with pytest.raises(UsageError, match=r"one catalogue is of stars and one of visits.*stars\.parquet of stars"):
        compare_catalogues(stars, visits)
    released = table.drop_columns(["mjd", "fiber"]).append_column("min_mjd", table["mjd"])
    with pytest.raises(UsageError, match="one catalogue is of stars"):
        compare_catalogues(visits, written(released, tmp_path / "released.parquet"))
    # Who says how to pair them knows what he does, and the same product is not refused.
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


def test_errors_tell_what_to_do(a: Path, tmp_path: Path) -> None:
    table = visit_table(0, stars=60)
    with pytest.raises(UsageError, match="columns to compare: raw_e_teff; got columns"):
        compare_catalogues(a, written(table.drop_columns(["raw_e_teff"]), tmp_path / "b.parquet"))
    with pytest.raises(UsageError, match="nowhere"):
        compare_catalogues(a, a, on=["nowhere"])
    other = written(changed(table, identity=[f"x{i}" for i in range(len(table))]), tmp_path / "c.parquet")
    with pytest.raises(UsageError, match="no spectrum in common"):
        compare_catalogues(a, other)


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
    with pytest.raises(UsageError, match=rf"does not tell spectra apart.*{said}.*--on identity,") as raised:
        compare_catalogues(a, written(table, tmp_path / "b.parquet"))
    assert "no spectrum in common" not in str(raised.value)
    with pytest.raises(UsageError, match=r"share their telescope with.*Remedy: .*--on telescope,"):
        compare_catalogues(a, a, on=["telescope"])


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["compare", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_exit_codes(a: Path, tmp_path: Path) -> None:
    table = visit_table(0, stars=60)
    moved = table["fe_h"].to_numpy().copy()
    moved[:2] += 1
    b = written(changed(table, fe_h=moved), tmp_path / "b.parquet")
    assert run(a, b)[0] == 0
    assert run(a, b, "--tolerance", 1)[0] == 1
    assert run(a, b, "--tolerance", 1, "--share", 0.1)[0] == 0
    assert run(a, b, "--tolerance", 1000)[0] == 0
    assert run(a, a, "--tolerance", 0, "--same-rows")[0] == 0
    fewer = written(table.slice(1), tmp_path / "c.parquet")
    assert run(a, fewer, "--tolerance", 0)[0] == 0
    code, text = run(a, fewer, "--same-rows", "--json", tmp_path / "c.json")
    assert code == 1
    assert "do not hold the same rows" in text
    assert json.loads((tmp_path / "c.json").read_text())["only_a"] == 1
    # Before the work: a catalogue that is not there would be the later error.
    with pytest.raises(UsageError, match=r"no such folder; got .*nowhere"):
        run(a, tmp_path / "none.parquet", "--json", tmp_path / "nowhere" / "c.json")
    with pytest.raises(UsageError, match="a folder, not a file"):
        run(a, tmp_path / "none.parquet", "--json", tmp_path)
