"""What `--catalog` fills: each kind of table, matched and converted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.catalog.rows import catalogue_rows
from apnet_fast.catalog.sources import SourceMatches, SourceTable
from apnet_fast.spectra.batch import Product, SpectrumRecord
from apnet_fast.spectra.measured import Measured
from apnet_fast.support.errors import UsageError
from tests.catalog.samples import labels, star_record, times, visit_record

STARS = 6


def objects() -> list[str]:
    return [star_record(i).star.obj for i in range(STARS)]


def dr17_star(**changes: object) -> pa.Table:
    columns = {
        "file": [f"apStar-dr17-{obj}.fits" for obj in objects()],
        "apogee_id": objects(),
        "telescope": ["apo25m"] * STARS,
        "field": [star_record(i).star.field for i in range(STARS)],
        "ra": np.arange(STARS) + 10.0,
        "vhelio_avg": np.arange(STARS) - 40.5,
        "j": np.float32([8, 9, 10, -9999.99, 99.99, math.nan]),
        "h": np.float32([7, 8, 9, 10, 11, 12]),
        "gaiaedr3_source_id": [10, 11, 12, 0, -9999, 15],
        "gaiaedr3_parallax": np.float32([1, -2, 3, math.nan, -9999.99, 6]),
        "apogee2_target1": np.array([0, 1, -(2**31), 2, 3, 4], np.int32),
        "teff": np.full(STARS, 4000.0),
        "snr": np.float32(np.arange(STARS) + 500),
    }
    return pa.table(columns | changes)


def mwm_star() -> pa.Table:
    return pa.table(
        {
            "sdss_id": np.arange(STARS) + 54_000_000,
            "release": ["dr17"] * STARS,
            "telescope": ["apo25m"] * STARS,
            "field": [star_record(i).star.field for i in range(STARS)],
            "healpix": np.arange(STARS, dtype=np.int32),
            "obj": objects(),
            "source_pk": np.arange(STARS) + 7,
            "zgr_teff": np.float32(np.arange(STARS) + 4500),
            "n_entries": np.arange(STARS, dtype=np.int32),
        }
    )


def dr17_visit() -> pa.Table:
    records = [visit_record(i) for i in range(STARS)]
    return pa.table(
        {
            "file": [record.visit.file for record in records],
            "apogee_id": objects(),
            "telescope": ["apo25m"] * STARS,
            "field": [record.star.field for record in records],
            "plate": [record.visit.plate for record in records],
            "mjd": np.array([record.visit.mjd for record in records], np.int32),
            "fiberid": np.array([record.visit.fiber for record in records], np.int16),
            "vhelio": np.arange(STARS) + 0.5,
            "bc": np.arange(STARS) + 20.5,
            "dateobs": [f"2017-09-0{i + 1}T05:00:00.000" for i in range(STARS)],
            "k": np.float32(np.arange(STARS) + 6),
            "dec": np.arange(STARS) + 50.0,
        }
    )


def rows(table: pa.Table, product: Product, records: Sequence[SpectrumRecord]) -> list[dict[str, object]]:
    n = len(records)
    matches = SourceTable(table).match(records)
    return catalogue_rows(product, records, labels(n), times(n), matches, network="v3").to_pylist()


def test_dr17_stars_fill_source_and_spectrum_of_the_coadd() -> None:
    row = rows(dr17_star(), "star", [star_record(2)])[0]
    expected = {
        "source_match": "spectrum",
        "sdss4_apogee_id": objects()[2],
        "gaia_dr3_source_id": 12,
        "plx": 3.0,
        "j_mag": 10.0,
        "sdss4_apogee2_target1_flags": 2**31,
        "v_rad": -38.5,
        "ra": 12.0,
        "snr": 502.0,
    }
    assert {name: row[name] for name in expected} == expected


def test_labels_are_never_taken_from_the_table() -> None:
    row = rows(dr17_star(), "star", [star_record(2)])[0]
    assert row["teff"] == labels(1).teff[0]


def test_a_visit_gets_of_a_table_of_stars_what_is_the_stars_alone() -> None:
    row = rows(dr17_star(), "visit", [visit_record(2)])[0]
    assert row["source_match"] == "source"
    assert row["plx"] == 3.0
    assert row["snr"] == visit_record(2).snr
    assert math.isnan(row["v_rad"])  # type: ignore[arg-type]
    assert (row["v_rad_from"], row["flags_from"]) == ("", "")


def test_sentinels_become_nulls() -> None:
    found = rows(dr17_star(), "star", [star_record(i) for i in range(STARS)])
    assert [row["gaia_dr3_source_id"] for row in found] == [10, 11, 12, -1, -1, 15]
    np.testing.assert_array_equal([row["j_mag"] for row in found], [8, 9, 10, *[math.nan] * 3])
    np.testing.assert_array_equal([row["plx"] for row in found], [1, -2, 3, math.nan, math.nan, 6])


def test_astras_tables_are_copied_by_name() -> None:
    row = rows(mwm_star(), "star", [star_record(4)])[0]
    expected = {"sdss_id": 54_000_004, "zgr_teff": 4504.0, "n_entries": 4, "source_pk": 11, "source": 11, "healpix": 4}
    assert {name: row[name] for name in expected} == expected


def test_dr17_visits_fill_source_and_spectrum_of_the_visit() -> None:
    row = rows(dr17_visit(), "visit", [visit_record(3)])[0]
    expected = {
        "source_match": "spectrum",
        "v_rad": 3.5,
        "bc": 23.5,
        "date_obs": "2017-09-04T05:00:00.000",
        "k_mag": 9.0,
        "dec": 53.0,
        "input_dec": 53.0,
        "fiber": 203,
    }
    assert {name: row[name] for name in expected} == expected


def test_a_coadd_gets_of_a_table_of_visits_what_is_the_stars_alone() -> None:
    row = rows(dr17_visit(), "star", [star_record(3)])[0]
    assert (row["source_match"], row["k_mag"]) == ("source", 9.0)
    assert math.isnan(row["v_rad"])  # type: ignore[arg-type]
    assert (row["v_rad_from"], row["flags_from"]) == ("", "")


def test_visits_are_found_without_the_name_of_their_file() -> None:
    table = dr17_visit().drop_columns(["file"])
    assert rows(table, "visit", [visit_record(3)])[0]["v_rad"] == 3.5
    other = replace(visit_record(3), visit=replace(visit_record(3).visit, file="", fiber=1))
    assert rows(table, "visit", [other])[0]["source_match"] == "source"


def drp_star() -> pa.Table:
    return pa.table(
        {
            "apogee_id": objects()[:2],
            "apred_vers": ["1.3"] * 2,
            "telescope": ["apo25m"] * 2,
            "healpix": [1000, 1001],
            "gaia_release": ["DR2", "EDR3"],
            "gaia_sourceid": [21, 31],
            "gaia_gmag": [12.0, 13.0],
            "gaia_plx": [1.0, 2.0],
            "jmag": np.float32([9.5, 9.25]),
            "vrad": [5.0, 6.0],
            "pk": [100, 101],
        }
    )


def drp_visit() -> pa.Table:
    """Three visits of one star, whose Gaia release was another at first."""
    records = [visit_record(i) for i in (0, 1, 2)]
    return pa.table(
        {
            "apogee_id": [objects()[0]] * 3,
            "apred_vers": ["1.3"] * 3,
            "telescope": ["apo25m"] * 3,
            "file": [record.visit.file for record in records],
            "mjd": np.array([record.visit.mjd for record in records], np.int32),
            "fiberid": np.array([record.visit.fiber for record in records], np.int16),
            "gaia_release": ["DR2", "EDR3", "EDR3"],
            "gaia_sourceid": [21, 31, 31],
            "hmag": np.float32([8.5, 8.5, 8.5]),
            "vrad": [5.0, 6.0, 7.0],
        }
    )


def test_sdss5_tables_take_gaia_values_of_the_right_release_alone() -> None:
    table = drp_star()
    records = [replace(star_record(i), star=replace(star_record(i).star, field="", release="sdss5")) for i in (0, 1)]
    first, second = rows(table, "star", records)
    assert (first["gaia_dr2_source_id"], first["gaia_dr3_source_id"], first["plx"]) == (21, -1, 1.0)
    assert (second["gaia_dr2_source_id"], second["gaia_dr3_source_id"], second["g_mag"]) == (-1, 31, 13.0)
    assert math.isnan(first["g_mag"])  # type: ignore[arg-type]
    assert (second["v_rad"], second["star_pk"]) == (6.0, 101)


def test_names_of_the_file_stay_and_are_completed() -> None:
    record = replace(star_record(1), star=replace(star_record(1).star, telescope=""))
    table = mwm_star().append_column("apred", pa.array(["other"] * STARS))
    assert rows(mwm_star(), "star", [star_record(1)])[0]["telescope"] == "apo25m"
    row = rows(table, "star", [record])[0]
    assert (row["apred"], row["telescope"]) == ("dr1", "apo25m")


def test_spectra_that_the_table_lacks_keep_what_their_file_says() -> None:
    row = rows(dr17_star(), "star", [star_record(99)])[0]
    assert (row["source_match"], row["ra"], row["snr"]) == ("none", 109.0, 199.5)
    assert math.isnan(row["plx"])  # type: ignore[arg-type]
    assert row["gaia_dr3_source_id"] == -1


def twice(**changes: object) -> pa.Table:
    return pa.concat_tables([dr17_star(), dr17_star(h=np.full(STARS, 5, np.float32), **changes)])


def test_of_several_rows_the_one_of_the_same_field_is_taken() -> None:
    row = rows(twice(field=["elsewhere"] * STARS), "star", [star_record(1)])[0]
    assert (row["source_match"], row["h_mag"]) == ("spectrum", 8.0)


def test_ambiguous_rows_are_not_guessed_between() -> None:
    table = twice(field=["elsewhere"] * STARS, gaiaedr3_source_id=[90, 91, 92, 93, 94, 95])
    record = replace(star_record(1), star=replace(star_record(1).star, field="", healpix=-1))
    row = rows(table, "star", [record])[0]
    assert row["source_match"] == "ambiguous"
    assert math.isnan(row["h_mag"])  # type: ignore[arg-type]


def test_rows_that_say_they_are_one_star_give_its_source_but_no_spectrum() -> None:
    record = replace(star_record(1), star=replace(star_record(1).star, field="", healpix=-1))
    row = rows(twice(field=["elsewhere"] * STARS), "star", [record])[0]
    assert (row["source_match"], row["h_mag"]) == ("source", 8.0)
    assert math.isnan(row["v_rad"])  # type: ignore[arg-type]


def test_row_of_another_telescope_is_the_star_and_not_the_spectrum() -> None:
    record = replace(star_record(1), star=replace(star_record(1).star, telescope="lco25m"))
    row = rows(dr17_star(), "star", [record])[0]
    assert (row["source_match"], row["plx"]) == ("source", -2.0)
    assert math.isnan(row["v_rad"])  # type: ignore[arg-type]


@pytest.mark.parametrize("obj", ["54000002", "54000099"])
def test_objects_named_by_sdss_id_are_found_by_it(obj: str) -> None:
    record = replace(star_record(1), star=replace(star_record(1).star, obj=obj, field="", healpix=-1))
    row = rows(mwm_star(), "star", [record])[0]
    assert row["source_match"] == ("spectrum" if obj == "54000002" else "none")
    assert row["sdss_id"] == (54_000_002 if obj == "54000002" else -1)


def test_photometry_is_in_the_order_of_the_network_and_nan_where_unknown() -> None:
    records = [star_record(0), visit_record(1), star_record(99), star_record(3)]
    table = SourceTable(dr17_star())
    got = table.photometry(table.match(records))
    nan = math.nan
    expected = [[1, nan, nan, nan, 8, 7, nan], [-2, nan, nan, nan, 9, 8, nan], [nan] * 7, [nan] * 5 + [10, nan]]
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.float32(expected))


@pytest.mark.parametrize("kind", ["fits", "parquet"])
@pytest.mark.parametrize("make", [dr17_star, dr17_visit, mwm_star, drp_star, drp_visit])
def test_tables_are_read_from_files(make: Callable[[], pa.Table], kind: str, tmp_path: Path) -> None:
    path, table = tmp_path / f"table.{kind}", make()
    if kind == "parquet":
        pq.write_table(table, path)
    else:
        columns = [column.to_numpy() for column in table.columns]
        data = [column.astype("S") if column.dtype == object else column for column in columns]
        fitsio.write(str(path), data, names=[name.upper() for name in table.column_names])
    loaded, whole = SourceTable.load(path), SourceTable(table)
    for product, record in (("star", star_record), ("visit", visit_record)):
        records = [record(i) for i in range(STARS)]
        got, expected = (source.columns_for(product, source.match(records)) for source in (loaded, whole))  # type: ignore[arg-type]
        assert len(got) >= 4
        assert list(got) == list(expected)
        assert [name for name in got if not got[name].equals(expected[name])] == []


@pytest.mark.parametrize("ids", [[-9999, -9999, -9999], [-9999, 7, 7], [7, 7, -9999], [7, -9999, 7]])
def test_visits_without_an_identifier_are_of_the_star_that_the_others_are_of(ids: list[int]) -> None:
    table = drp_visit().append_column("sdss_id", pa.array(ids))
    row = rows(table, "star", [star_record(0)])[0]
    assert (row["source_match"], row["h_mag"]) == ("source", 8.5)


def test_visits_whose_identifiers_differ_are_ambiguous() -> None:
    table = drp_visit().append_column("sdss_id", pa.array([7, -9999, 8]))
    assert rows(table, "star", [star_record(0)])[0]["source_match"] == "ambiguous"


@pytest.mark.parametrize(
    ("sdss_ids", "gaia", "match"),
    [
        ([-1, -1], [5, 5], "source"),
        ([-1, -1], [5, 6], "ambiguous"),
        ([77, -1], [5, 5], "source"),
        ([77, 78], [5, 5], "ambiguous"),
        ([-1, -1], [-1, -1], "ambiguous"),
    ],
)
def test_rows_without_sdss_id_are_told_apart_by_gaia(sdss_ids: list[int], gaia: list[int], match: str) -> None:
    table = pa.table(
        {
            "obj": [objects()[0], objects()[0], objects()[1]],
            "field": ["here", "there", "here"],
            "telescope": ["apo25m"] * 3,
            "sdss_id": [*sdss_ids, 90],
            "gaia_dr3_source_id": [*gaia, 9],
        }
    )
    record = replace(star_record(0), star=replace(star_record(0).star, field="", healpix=-1))
    assert rows(table, "star", [record])[0]["source_match"] == match


def test_table_without_names_of_objects_is_refused() -> None:
    with pytest.raises(UsageError, match="does not identify the objects"):
        SourceTable(pa.table({"ra": [1.0], "telescope": ["apo25m"]}))


def test_table_without_rows_finds_nothing() -> None:
    table = dr17_star().slice(0, 0)
    assert rows(table, "star", [star_record(1)])[0]["source_match"] == "none"
    assert rows(table, "star", []) == []


def test_matches_of_batches_are_sliced_and_joined() -> None:
    table = SourceTable(dr17_star())
    records = [star_record(0), visit_record(1), star_record(99), star_record(3)]
    whole = table.match(records)
    joined = SourceMatches.concatenate([table.match(records[:1]), table.match(records[1:])])
    chosen = np.array([True, False, True, True])
    stars = table.match([record for record in records if record.product == "star"])
    for one, other in (
        (joined, whole),
        (whole.take(chosen), stars),
        (whole.take(slice(2, 4)), table.match(records[2:])),
    ):
        assert len(one) == len(other)
        np.testing.assert_array_equal(one.rows.source, other.rows.source)
        np.testing.assert_array_equal(one.rows.spectrum, other.rows.spectrum)
    assert whole.rows.source.tolist() == [0, 1, -1, 3]
    assert whole.rows.spectrum.tolist() == [0, -1, -1, 3]


def measured(record: SpectrumRecord, **values: object) -> SpectrumRecord:
    return replace(record, measured=Measured(**values))  # type: ignore[arg-type]


def test_the_table_wins_over_the_header_where_it_has_a_value() -> None:
    table = dr17_star(
        starflag=pa.array([4, None, 8, None, 0, None], pa.int64()), vhelio_avg=[1.5, -9999.0, 3.5, 4, 5, 6]
    )
    records = [
        measured(star_record(0), spectrum_flags=512, v_rad=10.0, j_mag=1.0),
        measured(star_record(1), spectrum_flags=512, v_rad=10.0, e_v_rad=0.25, n_components=2),
        measured(star_record(5), v_rad=10.0),
        measured(star_record(4), spectrum_flags=512),
    ]
    found = rows(table, "star", records)
    assert [row["spectrum_flags"] for row in found] == [4, 512, None, 0]
    assert [row["flags_from"] for row in found] == ["table", "header", "", "table"]
    assert [row["v_rad"] for row in found] == [1.5, 10.0, 6.0, 5.0]
    assert [row["v_rad_from"] for row in found] == ["table", "header", "table", "table"]
    assert [row["j_mag"] for row in found[:2]] == [8.0, 9.0]
    assert (found[1]["e_v_rad"], found[1]["n_components"], found[2]["n_components"]) == (0.25, 2, -1)


@pytest.mark.parametrize("kind", [pa.bool_(), pa.int32()])
def test_visits_of_the_stack_are_marked(kind: pa.DataType) -> None:
    table = dr17_visit().append_column("in_stack", pa.array([1, 0, None, 1, 0, 1], pa.int32()).cast(kind))
    found = rows(table, "visit", [visit_record(i) for i in range(3)])
    assert [row["in_stack"] for row in found] == [1, 0, -1]
    (of_file,) = rows(dr17_visit(), "visit", [measured(visit_record(0), in_stack=1)])
    assert of_file["in_stack"] == 1


def test_flags_of_our_own_catalogue_are_known_only_where_it_says_so() -> None:
    table = mwm_star().append_column("spectrum_flags", pa.array([0, 0, 4, 0, 0, 0]))
    table = table.append_column("flags_from", pa.array(["", "header", "table", "", "", ""]))
    found = rows(table, "star", [star_record(i) for i in range(3)])
    assert [(row["spectrum_flags"], row["flags_from"]) for row in found] == [(None, ""), (0, "table"), (4, "table")]


def test_identifiers_that_are_not_exact_are_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = np.arange(STARS) + 5853498713190525696.0
    pq.write_table(dr17_star(gaiaedr3_source_id=ids), tmp_path / "t.parquet")
    for _ in range(2):
        SourceTable.load(tmp_path / "t.parquet")
    assert capsys.readouterr().err.count("gaiaedr3_source_id (6)") == 1
    pq.write_table(dr17_star(), tmp_path / "exact.parquet")
    SourceTable.load(tmp_path / "exact.parquet")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("written", [str, "{:.1f}".format, "{:.17e}".format])
def test_text_of_floats_makes_no_two_stars_one(written: Callable[[float], str]) -> None:
    """Programs write columns of floats so; the same integers as text of digits are exact."""
    two = [star_record(0).star.obj] * 2
    ids = [5853498713190525697, 5853498713190525777]
    for texts, expected in (([written(float(each)) for each in ids], 2), ([str(each) for each in ids], 0)):
        table = pa.table({"apogee_id": two, "vhelio_avg": [1.0, 2.0], "gaiaedr3_source_id": texts})
        sources = SourceTable(table, "t.fits")
        found = sources.columns_for("star", sources.match([star_record(0)]))
        assert found["source_match"].to_pylist() == ["ambiguous"]
        assert ("gaiaedr3_source_id (2)" in sources.warning) is bool(expected)
    one = SourceTable(
        pa.table({"apogee_id": two[:1], "vhelio_avg": [1.0], "gaiaedr3_source_id": [written(float(ids[0]))]})
    )
    found = one.columns_for("star", one.match([star_record(0)]))
    assert found["source_match"].to_pylist() == ["spectrum"]
    assert "gaia_dr3_source_id" not in found


def test_numbers_of_names_may_be_text_of_floats() -> None:
    records = [visit_record(i) for i in range(STARS)]
    names = {"mjd": [f"{record.visit.mjd}.0" for record in records], "fiber": [float(r.visit.fiber) for r in records]}
    table = dr17_visit().drop_columns(["file", "mjd", "fiberid"])
    for name, values in names.items():
        table = table.append_column({"fiber": "fiberid"}.get(name, name), pa.array(values))
    assert {row["source_match"] for row in rows(table, "visit", records)} == {"spectrum"}


def coadd_and_commissioning() -> list[SpectrumRecord]:
    """The coadd and a visit of a star, each of its apStar and of its apStarC file."""
    found = []
    for kind in ("apStar", "apStarC"):
        for record in (star_record(1), visit_record(1)):
            star = replace(record.star, healpix=-1, commissioning=kind == "apStarC")
            found.append(replace(record, star=star, path=f"stars/{kind}-dr17-{star.obj}.fits"))
    return found


@pytest.mark.parametrize(
    ("columns", "matches"),
    [
        ({}, ["spectrum", "source"]),
        ({"file": "apStar-dr1-{obj}.fits"}, ["spectrum", "source"]),
        ({"file": "redux/apStarC-dr1-{obj}.fits.gz"}, ["source", "spectrum"]),
        ({"filetype": "apStar"}, ["spectrum", "source"]),
        ({"filetype": "apStarC"}, ["source", "spectrum"]),
        ({"filetype": "mwmStar"}, ["spectrum", "source"]),
        ({"file": "", "filetype": "apStarC"}, ["source", "spectrum"]),
    ],
)
def test_commissioning_data_take_no_values_of_the_stars_coadd(columns: dict[str, str], matches: list[str]) -> None:
    records = [record for record in coadd_and_commissioning() if record.product == "star"]
    obj = records[0].star.obj
    row = {"apogee_id": [obj], "vhelio_avg": [99.0]} | {name: [text.format(obj=obj)] for name, text in columns.items()}
    sources = SourceTable(pa.table(row))
    found = sources.columns_for("star", sources.match(records))
    assert found["source_match"].to_pylist() == matches
    assert found["v_rad"].to_pylist() == [99.0 if match == "spectrum" else None for match in matches]


@pytest.mark.parametrize(
    ("product", "without"),
    [
        ("star", []),
        ("star", ["identity", "path"]),
        ("star", ["identity", "filetype"]),
        ("star", ["filetype", "path"]),
        ("visit", []),
        ("visit", ["identity"]),
    ],
)
def test_our_own_catalogue_tells_commissioning_data_apart(product: Product, without: list[str]) -> None:
    records = [record for record in coadd_and_commissioning() if record.product == product]
    own = catalogue_rows(product, records, labels(2), times(2), network="v3").drop_columns(without)
    own = own.set_column(own.column_names.index("snr"), "snr", pa.array(np.float32([50, 60])))
    sources = SourceTable(own)
    assert sources.match(records).rows.spectrum.tolist() == [0, 1]
    assert sources.match(records[::-1]).rows.spectrum.tolist() == [1, 0]


def test_columns_that_only_look_like_ours_are_not_read(tmp_path: Path) -> None:
    table = dr17_star().append_column("path", pa.array([{"a": i} for i in range(STARS)]))
    pq.write_table(table, tmp_path / "t.parquet")
    sources = SourceTable.load(tmp_path / "t.parquet")
    assert (sources.match([star_record(1)]).rows.source == 1).all()


@pytest.mark.parametrize("nothing", [None, "nan", "--", "N/A", ""])
@pytest.mark.parametrize("column", ["field", "telescope", "release", "file"])
def test_text_for_no_value_contradicts_nothing(column: str, nothing: str | None) -> None:
    records = [star_record(i) for i in range(STARS)]
    columns = {name: dr17_star()[name] for name in dr17_star().column_names} | {column: pa.array([nothing] * STARS)}
    found = rows(pa.table(columns), "star", records)
    assert [row["source_match"] for row in found] == ["spectrum"] * STARS
    assert [row["v_rad"] for row in found] == [pytest.approx(i - 40.5) for i in range(STARS)]
    # Another field, or the like, still is one.
    columns[column] = pa.array(["elsewhere"] * STARS)
    expected = "spectrum" if column == "file" else "source"
    assert {row["source_match"] for row in rows(pa.table(columns), "star", records)} == {expected}


def test_text_for_no_value_is_null_in_columns() -> None:
    texts = ["nan", "--", "2MASS-J1", "N/A", None, "2MASS-J2"]
    table = mwm_star().append_column("sdss4_apogee_id", pa.array(texts))
    found = rows(table, "star", [star_record(i) for i in range(STARS)])
    assert [row["sdss4_apogee_id"] for row in found] == ["", "", "2MASS-J1", "", "", "2MASS-J2"]
