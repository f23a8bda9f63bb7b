"""From records, labels and times to the rows of a product and of the quarantine."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from apnet_fast.catalog.columns import COLUMNS, arrow_schema, product_columns
from apnet_fast.catalog.rows import QUARANTINE_SCHEMA, RowTimes, catalogue_rows, quarantine_rows, with_nulls
from apnet_fast.recipes import Labels, label_names
from apnet_fast.spectra.batch import Product, SpectrumRecord
from apnet_fast.spectra.failures import Reason
from apnet_fast.spectra.measured import Measured
from tests.catalog.samples import failed, labels, mixed_records, star_record, table, times, visit_record

EVERYTHING = Measured(
    **{
        field.name: "2017-09-03T05:00:00" if field.name == "date_obs" else number
        for number, field in enumerate(fields(Measured), start=1)
    }
)
NOBODY_FILLS = {"task_pk": -1, "source_pk": -1, "v_astra": "", "tag": ""}


@pytest.fixture
def record(product: Product) -> SpectrumRecord:
    return {"star": star_record, "visit": visit_record}[product](4)


def assert_rows_are_of(rows: pa.Table, records: list[SpectrumRecord], positions: list[int], values: Labels) -> None:
    """Each row's identity and labels are those of records[position], values[position]."""
    mine = [records[i] for i in positions]
    assert rows["identity"].to_pylist() == [record.identity for record in mine]
    assert rows["snr"].to_pylist() == [record.snr for record in mine]
    assert rows["path"].to_pylist() == [record.path for record in mine]
    for name in label_names("v3"):
        np.testing.assert_array_equal(rows[name].to_numpy(), getattr(values, name)[positions])


@pytest.mark.parametrize(("product", "positions"), [("star", [0, 2, 4, 6]), ("visit", [1, 3, 5])])
def test_product_gets_its_own_records_in_order(product: Product, positions: list[int]) -> None:
    records = mixed_records(7)
    rows = catalogue_rows(product, records, labels(7), times(7), network="v3")
    assert_rows_are_of(rows, records, positions, labels(7))
    assert rows["t_elapsed"].to_pylist() == [i / 8 for i in positions]


def test_check_of_rows_notices_labels_of_the_next_record() -> None:
    records = mixed_records(7)
    rolled = Labels(**{field.name: np.roll(getattr(labels(7), field.name), 1) for field in fields(Labels)})
    rows = catalogue_rows("star", records, rolled, times(7), network="v3")
    with pytest.raises(AssertionError):
        assert_rows_are_of(rows, records, [0, 2, 4, 6], labels(7))


def test_check_of_rows_notices_the_records_of_the_other_product() -> None:
    records = mixed_records(8)
    rows = catalogue_rows("star", records, labels(8), times(8), network="v3")
    with pytest.raises(AssertionError):
        assert_rows_are_of(rows, records, [1, 3, 5, 7], labels(8))


def test_rows_have_the_schema_of_the_product(product: Product) -> None:
    rows = with_nulls(table(product, mixed_records(4)), COLUMNS[product])
    assert rows.schema.equals(arrow_schema(COLUMNS[product]), check_metadata=True)


def test_rows_have_the_columns_that_are_known_in_order(product: Product) -> None:
    rows = table(product, mixed_records(4))
    known = [column for column in COLUMNS[product] if column.name in rows.column_names]
    assert rows.schema.equals(arrow_schema(known), check_metadata=True)
    assert len(known) < len(COLUMNS[product]) / 2


def test_nulls_fill_the_columns_that_are_not_known(product: Product) -> None:
    rows = table(product, mixed_records(4))
    full = with_nulls(rows, COLUMNS[product])
    for column in COLUMNS[product]:
        values = full[column.name].to_pylist()
        if column.name in rows.column_names:
            np.testing.assert_array_equal(values, rows[column.name].to_pylist())
        else:
            null = None if column.bits or column.form in "BL" else column.null
            np.testing.assert_array_equal(values, [null] * rows.num_rows)


@pytest.mark.parametrize("records", [[], [star_record(1)]], ids=["no records", "records of the other product"])
def test_no_records_of_the_product_give_no_rows(records: list[SpectrumRecord]) -> None:
    rows = table("visit", records)
    assert rows.num_rows == 0
    assert with_nulls(rows, COLUMNS["visit"]).num_rows == 0


def test_star_row_holds_the_values_of_its_record() -> None:
    (row,) = table("star", [star_record(4)]).to_pylist()
    expected = {
        "healpix": 1004,
        "ra": 14.0,
        "dec": -1.0,
        "release": "dr17",
        "filetype": "apStar",
        "apred": "dr4",
        "apstar": "stars",
        "obj": "2M00000004+4714573",
        "telescope": "apo25m",
        "field": "K04_080+14",
        "prefix": "ap",
        "n_visits": 4,
        "snr": 104.5,
        "path": "stars/apStar-4.fits",
        "file_row": 0,
        "starver": "59004",
        "identity": "dr17/dr4/apo25m/K04_080+14/2M00000004+4714573/coadd",
        "reason": "",
    }
    assert {name: row[name] for name in expected} == expected


def test_visit_row_holds_the_values_of_its_record() -> None:
    (row,) = table("visit", [visit_record(4)]).to_pylist()
    expected = {
        "filetype": "apVisit",
        "plate": "9004",
        "mjd": 58004,
        "fiber": 204,
        "reduction": "",
        "snr": 34.25,
        "file_row": 6,
        "obj": "2M00000004+4714573",
        "identity": "dr17/dr4/apo25m/K04_080+14/2M00000004+4714573/apVisit-dr17-9004-58004-204.fits",
    }
    assert {name: row[name] for name in expected} == expected


def test_columns_nobody_fills_hold_their_nulls(product: Product, record: SpectrumRecord) -> None:
    (row,) = with_nulls(table(product, [record]), COLUMNS[product]).to_pylist()
    assert {name: row[name] for name in NOBODY_FILLS} == NOBODY_FILLS
    assert math.isnan(row["t_overhead"])


def test_every_other_column_is_filled(product: Product, record: SpectrumRecord) -> None:
    visit = replace(record.visit, reduction="VESTA")
    record = replace(record, reason=Reason.NO_DATA, visit=visit, sdss_id=5, spectrum_pk=6, measured=EVERYTHING)
    (row,) = table(product, [record]).to_pylist()
    empty = {c.name for c in COLUMNS[product] if c.name in row and c.form != "L" and row[c.name] == c.null}
    empty |= {name for name, value in row.items() if isinstance(value, float) and math.isnan(value)}
    assert not empty
    assert not {*NOBODY_FILLS, "t_overhead"} & set(row)


@pytest.mark.parametrize(("release", "prefix"), [("dr17", "ap"), ("", "ap"), ("sdss5", "")])
def test_prefix_is_of_sdss4_alone(product: Product, record: SpectrumRecord, release: str, prefix: str) -> None:
    record = replace(record, star=replace(record.star, release=release))
    assert table(product, [record])["prefix"].to_pylist() == [prefix]


def test_medians_of_the_draws_are_columns_of_network_v2_alone(product: Product) -> None:
    medians = {"teff_sample_median", "logg_sample_median", "fe_h_sample_median"}
    names = [column.name for column in product_columns(product, "v2")]
    assert names[names.index("e_fe_h") + 1 : names.index("result_flags")] == sorted(medians, key=names.index)
    assert not medians & {column.name for column in product_columns(product, "v3")}


def test_missing_values_of_a_record_become_nulls(product: Product, record: SpectrumRecord) -> None:
    star = replace(record.star, healpix=-1, field="", telescope="")
    nothing = replace(record, star=star, snr=math.nan, ra=math.nan, dec=math.nan, n_visits=-1)
    (row,) = table(product, [nothing]).to_pylist()
    assert (row["healpix"], row["field"], row["telescope"]) == (-1, "", "")
    assert all(math.isnan(row[name]) for name in ("snr", "ra", "dec"))


def test_number_beyond_float32_becomes_infinite(product: Product, record: SpectrumRecord) -> None:
    (row,) = table(product, [replace(record, snr=1e300)]).to_pylist()
    assert row["snr"] == math.inf


@pytest.mark.parametrize(
    ("created", "text"),
    [
        (datetime(2026, 3, 4, 5, 6, 7, 890, tzinfo=UTC), "2026-03-04T05:06:07.000890"),
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), "2026-12-31T23:59:59.000000"),
    ],
)
def test_created_is_the_time_in_26_characters(created: datetime, text: str) -> None:
    rows = catalogue_rows("star", [star_record(1)], labels(1), RowTimes(created, np.zeros(1, np.float32)), network="v3")
    assert rows["created"].to_pylist() == [text]
    assert len(text) == 26


@pytest.mark.parametrize("reason", Reason)
def test_reason_of_a_failed_record_is_its_code(product: Product, record: SpectrumRecord, reason: Reason) -> None:
    rows = table(product, [record, failed(record, reason)])
    assert rows["reason"].to_pylist() == ["", reason.value]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (b"stars/\xff\xe9.fits", r"stars/\xff\xe9.fits"),
        ("stars/\N{LATIN SMALL LETTER E WITH ACUTE}.fits".encode(), "stars/\N{LATIN SMALL LETTER E WITH ACUTE}.fits"),
        (b"stars/plain.fits", "stars/plain.fits"),
    ],
)
def test_bytes_of_a_path_that_are_not_utf8_become_escapes(product: Product, path: bytes, text: str) -> None:
    record = replace(visit_record(1), path=path.decode("utf-8", "surrogateescape"), product=product)
    assert table(product, [record])["path"].to_pylist() == [text]
    assert quarantine_rows([failed(record)])["path"].to_pylist() == [text]


def test_bytes_of_a_text_that_are_not_utf8_become_escapes_in_the_quarantine() -> None:
    text = b"symlink to \xff.fits".decode("utf-8", "surrogateescape")
    rows = quarantine_rows([replace(failed(star_record(1)), text=text)])
    assert rows["text"].to_pylist() == [r"symlink to \xff.fits"]


def test_quarantine_has_one_row_for_each_failed_record_in_order() -> None:
    records = mixed_records(6)
    records[1] = failed(records[1], Reason.NO_DATA)
    records[4] = failed(replace(records[4], row=-1), Reason.TRUNCATED)
    assert quarantine_rows(records).to_pylist() == [
        {
            "product": "visit",
            "path": "stars/apStar-1.fits",
            "hdu": 2,
            "row": 3,
            "reason": "no_data",
            "text": "stars/apStar-1.fits is no_data",
        },
        {
            "product": "star",
            "path": "stars/apStar-4.fits",
            "hdu": 2,
            "row": -1,
            "reason": "truncated",
            "text": "stars/apStar-4.fits is truncated",
        },
    ]


@pytest.mark.parametrize("records", [[], mixed_records(3)], ids=["no records", "no failures"])
def test_quarantine_without_failures_is_empty(records: list[SpectrumRecord]) -> None:
    rows = quarantine_rows(records)
    assert rows.num_rows == 0
    assert rows.schema.equals(QUARANTINE_SCHEMA)


def test_what_the_header_knows_is_in_its_columns(product: Product, record: SpectrumRecord) -> None:
    (row,) = table(product, [replace(record, measured=EVERYTHING)]).to_pylist()
    names = {field.name for field in fields(Measured)} & {column.name for column in COLUMNS[product]}
    assert len(names) > 20
    assert {name: row[name] for name in names} == {name: getattr(EVERYTHING, name) for name in names}
    assert (row["flags_from"], row["v_rad_from"]) == ("header", "header")


def test_what_the_header_does_not_know_is_null(product: Product, record: SpectrumRecord) -> None:
    (row,) = table(product, [record]).to_pylist()
    assert (row["spectrum_flags"], row["flags_from"], row["v_rad_from"]) == (None, "", "")
    assert math.isnan(row["v_rad"])
    # No bit is another thing than nobody having looked.
    (clean,) = table(product, [replace(record, measured=Measured(spectrum_flags=0))]).to_pylist()
    assert (clean["spectrum_flags"], clean["flags_from"]) == (0, "header")


def test_commissioning_coadds_are_named_so(record: SpectrumRecord, product: Product) -> None:
    (row,) = table(product, [replace(record, star=replace(record.star, commissioning=True))]).to_pylist()
    assert row["filetype"] == ("apStarC" if product == "star" else "apVisit")
