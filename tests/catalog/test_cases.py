"""Small tables as people have them: each after a report of what went wrong with it, beside its sound twin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from apnet_fast.catalog.sources import SourceTable
from apnet_fast.inputs.summary_tables import open_table
from apnet_fast.inputs.table_rows import files_of_table
from apnet_fast.simulate import simulate_tree
from apnet_fast.spectra import SpectrumRecord, read_apstar
from apnet_fast.support.errors import UsageError

GAIA = 2584290278794471937


@pytest.fixture(scope="session")
def cases(data: Path) -> Path:
    folder = data.parent / "cases"
    if not folder.is_dir():
        pytest.skip("no cases beside APNET_FAST_TEST_DATA")
    return folder


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree that the cases are about."""
    return simulate_tree(tmp_path_factory.mktemp("six") / "T", stars=6, layout="dr17", visits=2, seed=3)


@pytest.fixture(scope="module")
def stars(tree: Path) -> list[SpectrumRecord]:
    """Coadds of the six stars, in the order of the cases' rows."""
    records = [record for path in sorted(tree.rglob("*Star-*.fits")) for record in read_apstar(str(path)).records]
    coadds = [record for record in records if record.product == "star"]
    assert len(coadds) == 6
    return coadds


def filled(path: Path, stars: Sequence[SpectrumRecord]) -> dict[str, list[object]]:
    """What `--catalog` fills, in the order of the table's rows."""
    with open_table(path) as table:
        names = table.read(["apogee_id"])["apogee_id"].cast(pa.string()).to_pylist()
    rows = {record.star.obj: record for record in stars}
    records = [rows[name.strip()] for name in dict.fromkeys(names)]
    table = SourceTable.load(path)
    columns = table.columns_for("star", table.match(records))
    return {name: values.to_pylist() for name, values in columns.items()}


# Rows as the sound tables have them.
J = [9.0, 10.0, 11.0, 12.0, 13.0, 14.0]
IDS = [GAIA + 2 * i for i in range(6)]


def test_masked_integers_of_astropy_are_null(cases: Path, stars: list[SpectrumRecord]) -> None:
    found = filled(cases / "tnull_astropy_masked" / "A_astropy_masked.fits", stars)
    assert found["source_match"] == ["spectrum"] * 6
    for name in ("gaia_dr3_source_id", "spectrum_flags", "n_visits"):
        assert None in found[name]
        assert 999999 not in found[name]
    assert {value for value in found["gaia_dr3_source_id"] if value is not None} <= set(IDS)


@pytest.mark.parametrize(
    "file",
    [
        "tnull_astropy_masked/P1_two_masked.fits",
        "tnull_astropy_masked/P0_two_unknown.fits",
        "float_ids/P2_two_ids.fits",
        "float_ids/P3_two_float.parquet",
    ],
)
def test_two_stars_are_not_one(file: str, cases: Path, stars: list[SpectrumRecord]) -> None:
    found = filled(cases / file, stars)
    assert set(found["source_match"]) == {"ambiguous"}
    assert set(found["j_mag"]) == {None}


def test_flags_that_are_null_have_no_bit(cases: Path, stars: list[SpectrumRecord]) -> None:
    found = filled(cases / "tnull_stilts_flags" / "L2_stilts_nulls.fits", stars)
    assert None in found["spectrum_flags"]
    # A row with the highest bit of its own keeps it.
    assert [value for value in found["spectrum_flags"] if value] == [2**31 + 512]


@pytest.mark.parametrize(
    "file",
    [
        "tscal_columns/N4_tscal.fits",
        "float_ids/B_float_ids.parquet",
        "decimal_ids/B5_decimal.parquet",
        "bytes_parquet/B3_bytes_strings.parquet",
        "casjobs_tdim/N2_casjobs_tdim1.fits",
        "identical_rows/F_dup.fits",
    ],
)
def test_rows_find_their_spectra_with_the_right_magnitudes(
    file: str, cases: Path, stars: list[SpectrumRecord], capsys: pytest.CaptureFixture[str]
) -> None:
    found = filled(cases / file, stars)
    assert found["source_match"] == ["spectrum"] * 6
    assert found["j_mag"] == J
    if "float_ids" in file:
        assert "gaia_dr3_source_id" not in found or set(found["gaia_dr3_source_id"]) <= {None}
        assert capsys.readouterr().err.count("2^53") == 1
    else:
        assert found["gaia_dr3_source_id"] == IDS
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize("file", ["D_dupcase.fits", "D2_dupcase.parquet"])
def test_names_that_differ_in_case_are_named(file: str, cases: Path, tree: Path) -> None:
    for way in (SourceTable.load, lambda path: files_of_table(str(path), str(tree))):
        with pytest.raises(UsageError, match=r"several columns of one name.*APOGEE_ID and apogee_id.*rename"):
            way(cases / "dup_case" / file)


def test_a_table_of_vectors_is_named_with_its_remedy(cases: Path, tree: Path) -> None:
    for way in (SourceTable.load, lambda path: files_of_table(str(path), str(tree))):
        with pytest.raises(UsageError, match=r"colfits.*stilts tpipe.*ofmt=fits-basic"):
            way(cases / "colfits" / "L_colfits.fits")


@pytest.mark.parametrize(
    ("file", "number"),
    [
        ("bytes_parquet/B3_bytes_strings.parquet", 6),
        ("casjobs_tdim/N2_casjobs_tdim1.fits", 6),
        ("identical_rows/F_dup.fits", 7),  # one row is of another field
        ("tscal_columns/N4_tscal.fits", 6),
        ("decimal_ids/B5_decimal.parquet", 6),
        ("float_ids/B_float_ids.parquet", 6),
        ("tnull_astropy_masked/A_astropy_masked.fits", 6),
        ("tnull_stilts_flags/L2_stilts_nulls.fits", 6),
    ],
)
def test_tables_name_the_files_of_their_stars(
    file: str, number: int, cases: Path, tree: Path, stars: list[SpectrumRecord]
) -> None:
    found = files_of_table(str(cases / file), str(tree))
    assert set(found.files) >= {record.path for record in stars}
    assert (len(found.files), found.nameless_rows, found.notes) == (number, 0, ())
