"""The FITS form of a product, as astropy reads it."""

from __future__ import annotations

import shutil
import subprocess
import tracemalloc
import warnings
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from apnet_fast.catalog.columns import COLUMNS, boss_columns
from apnet_fast.catalog.fits import Card, fits_time, text_widths, write_fits
from apnet_fast.catalog.rows import catalogue_rows
from apnet_fast.spectra.batch import Product, SpectrumRecord
from tests.catalog.samples import CREATED, labels, mixed_records, star_record, table, times

CARDS: list[Card] = [
    ("RECIPE", "dr19", "What was computed"),
    ("DRAWS", 20, "Noise draws"),
    ("PREC", 1.5, "A number"),
    ("DONE", True, "A logical"),
    ("COMMAND", "apnet-fast " + "a/long/path/of/a/star.fits " * 10 + "end", "Longer than a card"),
]


def write(path: Path, product: Product, tables: Iterable[pa.Table], cards: list[Card] | None = None) -> Path:
    """Write tables as a run does: widths over all of them first, then row by row."""
    tables = list(tables)
    columns = COLUMNS[product]
    widths: dict[str, int] = {}
    for rows in tables:
        for name, width in text_widths(rows).items():
            widths[name] = max(width, widths.get(name, 0))
    write_fits(
        path, columns, boss_columns("v3"), iter(tables), widths, CARDS if cards is None else cards, CREATED, "v3"
    )
    return path


def checked(path: Path) -> fits.HDUList:
    """The file as astropy reads it, checksums verified; every warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path, checksum=True, memmap=False) as hdus:
            hdus.verify("exception")
            for hdu in hdus:
                _ = hdu.data
            return hdus


@pytest.fixture(scope="module")
def star_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("fits") / "star.fits", "star", [table("star", mixed_records(9))])


@pytest.fixture(scope="module")
def star_hdus(star_file: Path) -> Iterator[fits.HDUList]:
    with checked(star_file) as hdus:
        yield hdus


def assert_equal_tables(data: np.ndarray, rows: pa.Table) -> None:
    assert len(data) == rows.num_rows
    for name in rows.column_names:
        # Bits that nobody knows are null in the rows, and no bit in FITS.
        values = rows[name].fill_null(0) if pa.types.is_integer(rows[name].type) else rows[name]
        np.testing.assert_array_equal(np.asarray(data[name]), np.asarray(values.to_pylist()), err_msg=name)


def test_file_has_cards_boss_and_apogee(product: Product, tmp_path: Path) -> None:
    hdus = checked(write(tmp_path / "p.fits", product, [table(product, mixed_records(9))]))
    assert [type(hdu) for hdu in hdus] == [fits.PrimaryHDU, fits.BinTableHDU, fits.BinTableHDU]
    assert [hdu.header["INSTRMNT"] for hdu in hdus[1:]] == ["BOSS", "APOGEE"]
    assert [hdu.header["PIPELINE"] for hdu in hdus[1:]] == ["ApogeeNet", "ApogeeNet"]
    assert hdus[0].data is None


def test_every_hdu_has_its_checksums(star_hdus: fits.HDUList) -> None:
    for hdu in star_hdus:
        assert {"CHECKSUM", "DATASUM"} <= set(hdu.header)


@pytest.mark.parametrize("marker", [b"dr19", b"stars/apStar-4.fits"], ids=["card", "row"])
def test_check_notices_a_changed_byte(star_file: Path, tmp_path: Path, marker: bytes) -> None:
    data = bytearray(star_file.read_bytes())
    data[data.index(marker)] ^= 1
    path = tmp_path / "changed.fits"
    path.write_bytes(data)
    with pytest.raises(AstropyUserWarning, match="failed for HDU"):
        checked(path)


def test_rows_come_back(product: Product, tmp_path: Path) -> None:
    rows = table(product, mixed_records(9))
    hdus = checked(write(tmp_path / "p.fits", product, [rows]))
    assert_equal_tables(hdus[2].data, rows)


def test_comparison_of_rows_notices_rows_shifted_by_one(star_hdus: fits.HDUList) -> None:
    rows = table("star", mixed_records(9))
    shifted = pa.concat_tables([rows.slice(1), rows.slice(0, 1)])
    with pytest.raises(AssertionError):
        assert_equal_tables(star_hdus[2].data, shifted)


def test_boss_table_has_no_rows_and_the_columns_of_sources_and_results(star_hdus: fits.HDUList) -> None:
    boss = star_hdus[1].columns
    assert len(star_hdus[1].data) == 0
    assert boss.names == [column.name for column in boss_columns("v3")]
    assert [form.lstrip("0123456789") for form in boss.formats] == [c.form for c in boss_columns("v3")]


def test_columns_have_their_names_and_forms(product: Product, tmp_path: Path) -> None:
    columns = checked(write(tmp_path / "p.fits", product, [table(product, mixed_records(9))]))[2].columns
    assert columns.names == [column.name for column in COLUMNS[product]]
    assert [form.lstrip("0123456789") for form in columns.formats] == [c.form for c in COLUMNS[product]]


@pytest.mark.parametrize("hdu", [1, 2])
def test_ttype_cards_carry_comment_and_unit(star_hdus: fits.HDUList, hdu: int) -> None:
    header = star_hdus[hdu].header
    comments = {header[f"TTYPE{i}"]: header.comments[f"TTYPE{i}"] for i in range(1, header["TFIELDS"] + 1)}
    columns = boss_columns("v3") if hdu == 1 else COLUMNS["star"]
    assert comments == {column.name: column.fits_comment for column in columns}
    assert comments["e_logg"] == "Error on surface gravity [log10(cm/s^2)]"


def test_primary_header_holds_the_cards_with_their_comments(star_hdus: fits.HDUList) -> None:
    header = star_hdus[0].header
    assert [(keyword, header[keyword]) for keyword, _, _ in CARDS] == [(keyword, value) for keyword, value, _ in CARDS]
    short = [card for card in CARDS if len(str(card[1])) < 60]
    assert [header.comments[keyword] for keyword, _, _ in short] == [comment for _, _, comment in short]


def test_primary_header_describes_the_hdus(star_hdus: fits.HDUList) -> None:
    comments = [line for line in star_hdus[0].header["COMMENT"] if line.startswith("HDU ")]
    assert comments == ["HDU 0: Summary information only", "HDU 1: BOSS spectra", "HDU 2: APOGEE spectra"]


def test_created_card_has_astras_form(star_hdus: fits.HDUList) -> None:
    assert fits_time(datetime(2026, 11, 22, 19, 47, 42, 999, tzinfo=UTC)) == "26-11-22 19:47:42"
    assert [hdu.header["CREATED"] for hdu in star_hdus[1:]] == ["26-03-04 05:06:07"] * 2


def test_header_values_have_no_units_in_tunit_nor_nulls_in_tnull(star_hdus: fits.HDUList) -> None:
    assert not [key for key in star_hdus[2].header if key.startswith(("TUNIT", "TNULL", "TSCAL", "TZERO"))]


def test_described_columns_have_units_comments_and_ucds(product: Product, tmp_path: Path) -> None:
    columns, rows = COLUMNS[product], table(product, mixed_records(9))
    plain, described = tmp_path / "plain.fits", tmp_path / "described.fits"
    for path in (plain, described):
        write_fits(
            path,
            columns,
            boss_columns("v3"),
            [rows],
            text_widths(rows),
            CARDS,
            CREATED,
            "v3",
            described=path == described,
        )
    for hdu, expected in ((1, boss_columns("v3")), (2, columns)):
        header = checked(described)[hdu].header
        for number, column in enumerate(expected, start=1):
            assert header.get(f"TUNIT{number}", "") == column.tunit
            assert header[f"TCOMM{number}"] == column.comment
            assert header[f"TUCD{number}"] == column.ucd
    assert checked(described)[2].header["DATASUM"] == checked(plain)[2].header["DATASUM"]
    assert not any(key.startswith(("TUNIT", "TCOMM", "TUCD")) for key in checked(plain)[2].header)


def test_long_texts_are_announced(tmp_path: Path) -> None:
    for cards, expected in ((CARDS, "OGIP 1.0"), (CARDS[:2], None)):
        header = checked(write(tmp_path / "p.fits", "star", [], cards))[0].header
        assert header.get("LONGSTRN") == expected
        assert [header[keyword] for keyword, _, _ in cards] == [value for _, value, _ in cards]


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify is not installed")
@pytest.mark.parametrize("described", [False, True])
def test_fitsverify_finds_nothing(described: bool, product: Product, tmp_path: Path) -> None:
    rows = table(product, mixed_records(9))
    path = tmp_path / "p.fits"
    boss, widths = boss_columns("v3"), text_widths(rows)
    write_fits(path, COLUMNS[product], boss, [rows], widths, CARDS, CREATED, "v3", described=described)
    done = subprocess.run(["fitsverify", str(path)], capture_output=True, text=True, timeout=120)
    assert "0 warning(s) and 0 error(s)" in done.stdout, done.stdout
    # The twin: it is asked, and answers.
    path.write_bytes(path.read_bytes().replace(b"LONGSTRN", b"LONGSTRX"))
    done = subprocess.run(["fitsverify", str(path)], capture_output=True, text=True, timeout=120)
    assert "0 warning(s) and 0 error(s)" not in done.stdout


def test_text_widths_are_the_longest_values_in_bytes() -> None:
    records = [replace(star_record(i), path="x" * i + "\N{LATIN SMALL LETTER E WITH ACUTE}") for i in (3, 17, 5)]
    rows = table("star", records)
    widths = text_widths(rows)
    assert widths["path"] == 19
    assert widths["reason"] == 0
    texts = {column.name for column in COLUMNS["star"] if column.form == "A"}
    assert set(widths) == texts & set(rows.column_names)


def test_text_widths_of_no_rows_are_zero() -> None:
    assert set(text_widths(table("star", [])).values()) == {0}


def with_paths(*lengths: int) -> list[SpectrumRecord]:
    return [replace(star_record(i), path="p" * length) for i, length in enumerate(lengths)]


@pytest.mark.parametrize("order", [[[3, 1], [40, 2], [7]], [[40], [3], [3]], [[3], [40]]])
def test_text_column_is_as_wide_as_the_longest_text_of_all_tables(tmp_path: Path, order: list[list[int]]) -> None:
    tables = [table("star", with_paths(*lengths)) for lengths in order]
    hdu = checked(write(tmp_path / "p.fits", "star", tables))[2]
    assert hdu.columns["path"].format == "40A"
    assert hdu.data["path"].tolist() == ["p" * length for lengths in order for length in lengths]


@pytest.mark.parametrize("sizes", [[9], [1] * 9, [4, 5], [0, 4, 0, 5, 0]], ids=str)
def test_many_tables_make_the_same_bytes_as_one(star_file: Path, tmp_path: Path, sizes: list[int]) -> None:
    whole = table("star", mixed_records(18)).slice(0, 9)
    starts = np.cumsum([0, *sizes])
    parts = [whole.slice(start, size) for start, size in zip(starts, sizes, strict=False)]
    one = checked(write(tmp_path / "one.fits", "star", [whole]))
    many = checked(write(tmp_path / "many.fits", "star", parts))
    assert many[2].header["DATASUM"] == one[2].header["DATASUM"]
    assert len(many[2].data) == 9
    assert many[2].data.tobytes() == one[2].data.tobytes()


def test_table_of_several_chunks_is_one_table(tmp_path: Path) -> None:
    whole = table("star", mixed_records(9))
    chunks = pa.concat_tables([whole.slice(0, 2), whole.slice(2)])
    assert_equal_tables(checked(write(tmp_path / "p.fits", "star", [chunks]))[2].data, whole)


@pytest.mark.parametrize(
    ("text", "ascii_text"),
    [
        ("na\N{LATIN SMALL LETTER I WITH DIAERESIS}ve", "na?ve"),
        ("\N{GREEK SMALL LETTER ALPHA} Cen", "? Cen"),
        ("plain", "plain"),
        ("\N{STAR OF DAVID}" * 9, "?" * 9),
    ],
)
def test_characters_beyond_ascii_become_question_marks(tmp_path: Path, text: str, ascii_text: str) -> None:
    records = [star_record(1), replace(star_record(2), path=text)]
    paths = checked(write(tmp_path / "p.fits", "star", [table("star", records)]))[2].data["path"]
    assert paths.tolist() == [records[0].path, ascii_text]


def test_nulls_come_back(tmp_path: Path) -> None:
    nothing = replace(star_record(1), snr=np.nan, n_visits=-1, star=replace(star_record(1).star, field=""))
    no_flags = replace(labels(1), flag_warn=np.array([False]), flag_bad=np.array([False]))
    rows = catalogue_rows("star", [nothing], no_flags, times(1), network="v3")
    row = checked(write(tmp_path / "p.fits", "star", [rows]))[2].data[0]
    assert np.isnan(row["snr"])
    assert np.isnan(row["t_overhead"])
    assert (row["n_visits"], row["task_pk"], row["spectrum_pk"]) == (-1, -1, -1)
    assert (row["field"], row["tag"]) == ("", "")
    assert (row["flag_warn"], row["flag_bad"]) == (False, False)


@pytest.mark.parametrize("tables", [0, 1, 2])
def test_product_without_rows_is_a_valid_file(product: Product, tmp_path: Path, tables: int) -> None:
    hdus = checked(write(tmp_path / "p.fits", product, [table(product, [])] * tables))
    assert [len(hdu.data) for hdu in hdus[1:]] == [0, 0]
    assert hdus[2].columns.names == [column.name for column in COLUMNS[product]]


def test_same_rows_at_the_same_time_make_the_same_bytes(tmp_path: Path) -> None:
    rows = table("star", mixed_records(9))
    first, second = (write(tmp_path / name, "star", [rows]) for name in ("1.fits", "2.fits"))
    assert first.read_bytes() == second.read_bytes()


def test_columns_stand_behind_the_card_of_their_category(product: Product, tmp_path: Path) -> None:
    header = checked(write(tmp_path / "p.fits", product, [table(product, mixed_records(3))]))[2].header
    category, seen = "", []
    for card in header.cards:
        if card.keyword == "" and str(card.value).strip():
            category = str(card.value).strip()
        elif card.keyword.startswith("TTYPE"):
            seen.append((card.value, category))
    assert seen == [(column.name, column.category) for column in COLUMNS[product]]


def test_targeting_flags_are_bytes_with_their_dimension(star_hdus: fits.HDUList) -> None:
    header = star_hdus[2].header
    number = 1 + [column.name for column in COLUMNS["star"]].index("sdss5_target_flags")
    assert (header[f"TFORM{number}"], header[f"TDIM{number}"]) == ("57B", "(57)")
    assert star_hdus[2].data["sdss5_target_flags"].shape == (5, 57)
    assert not star_hdus[2].data["sdss5_target_flags"].any()


def test_bytes_shorter_than_the_column_are_filled_up(tmp_path: Path) -> None:
    rows = table("star", [star_record(1)]).append_column(
        "sdss5_target_flags", pa.array([bytes([1, 2]) + bytes(9) + b"\xff"], pa.binary())
    )
    value = checked(write(tmp_path / "p.fits", "star", [rows]))[2].data["sdss5_target_flags"][0]
    assert value[:12].tolist() == [1, 2, *[0] * 9, 255]
    assert not value[12:].any()


def test_version_of_astra_is_not_claimed(star_hdus: fits.HDUList) -> None:
    assert [hdu.header["V_ASTRA"] for hdu in star_hdus] == ["", "", ""]
    assert all("none" in hdu.header.comments["V_ASTRA"] for hdu in star_hdus)


def test_text_longer_than_its_column_is_refused(tmp_path: Path) -> None:
    rows = table("star", [star_record(1)])
    widths = text_widths(rows) | {"path": 3}
    with pytest.raises(ValueError, match="longer than the 3 bytes"):
        write_fits(tmp_path / "p.fits", COLUMNS["star"], boss_columns("v3"), [rows], widths, [], CREATED, "v3")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    rows = table("star", mixed_records(2000))

    def peak(repeats: int) -> int:
        tracemalloc.start()
        write_fits(
            tmp_path / "p.fits",
            COLUMNS["star"],
            boss_columns("v3"),
            iter([rows] * repeats),
            text_widths(rows),
            [],
            CREATED,
            "v3",
        )
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    few, many = peak(2), peak(40)
    assert (tmp_path / "p.fits").stat().st_size > 40 * 1000 * 1000
    assert many < 1.5 * few


def test_tables_of_a_stream_do_not_pile_up(tmp_path: Path) -> None:
    made: list[weakref.ref[pa.Table]] = []
    alive: list[int] = []

    def stream() -> Iterator[pa.Table]:
        for number in range(4):
            rows = table("star", [star_record(number)])
            made.append(weakref.ref(rows))
            yield rows
            del rows
            alive.append(sum(reference() is not None for reference in made))

    columns = COLUMNS["star"]
    widths = text_widths(table("star", [star_record(3)]))
    write_fits(tmp_path / "p.fits", columns, boss_columns("v3"), stream(), widths, [], CREATED, "v3")
    assert len(alive) == 4
    assert max(alive) <= 1
