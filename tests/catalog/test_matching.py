"""Which row of a table a key, or a spectrum, is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from apnet_fast.catalog.matching import KeyIndex, Matcher, name_parts
from apnet_fast.spectra.batch import SpectrumRecord
from tests.catalog.samples import star_record, visit_record

KEYS = ["b", "a", "", "b", "longest", "a", "\N{LATIN SMALL LETTER E WITH ACUTE}"]


def index(identity: list[int] | None = None) -> KeyIndex:
    return KeyIndex(pa.array(KEYS), np.array(identity or range(len(KEYS))))


@pytest.mark.parametrize(
    ("key", "row", "count"),
    [("a", 1, 2), ("b", 0, 2), ("longest", 4, 1), (KEYS[6], 6, 1), ("c", -1, 0), ("", -1, 0), ("longest1", -1, 0)],
)
def test_key_gives_its_first_row_and_their_number(key: str, row: int, count: int) -> None:
    rows, counts, _ = index().find(["zzz", key])
    assert (rows[1], counts[1]) == (row, count)
    assert (rows[0], counts[0]) == (-1, 0)


def test_rows_of_one_key_may_be_one_star() -> None:
    assert index([7, 1, 2, 7, 4, 5, 6]).find(["a", "b"])[2].tolist() == [False, True]


@pytest.mark.parametrize(
    ("identity", "one_star"),
    [
        ([-1, -1, -1], True),
        ([7, -1, -1], True),
        ([-1, 7, -1], True),
        ([-1, -1, 7], True),
        ([7, -1, 7], True),
        ([7, -1, 8], False),
        ([-1, 7, 8], False),
        ([7, 8, 7], False),
    ],
)
def test_rows_that_do_not_know_their_star_are_that_of_the_others(identity: list[int], one_star: bool) -> None:
    # Rows of other keys, and of none, lie on either side and between.
    keys = KeyIndex(
        pa.array(["a", "b", "", "b", "c", "b"]), np.array([1, *identity[:1], 2, identity[1], 3, identity[2]])
    )
    assert keys.find(["b"])[2].tolist() == [one_star]


def test_index_without_rows_finds_nothing() -> None:
    rows, counts, _ = KeyIndex(pa.array([], pa.string()), np.zeros(0, np.int64)).find(["a"])
    assert (rows.tolist(), counts.tolist()) == ([-1], [0])


def moved(record: SpectrumRecord, **changes: object) -> SpectrumRecord:
    return replace(record, star=replace(record.star, **changes))  # type: ignore[arg-type]


def test_many_records_find_their_rows_whatever_the_order() -> None:
    rng = np.random.default_rng(2)
    order = rng.permutation(500)
    records = [star_record(i) for i in order]
    parts = {
        "telescope": pa.array([record.star.telescope for record in records]),
        "place": pa.array([record.star.field for record in records]),
        "obj": pa.array([record.star.obj for record in records]),
    }
    match = Matcher("star", parts, np.arange(500)).match([star_record(i) for i in range(600)])
    assert match.spectrum[:500].tolist() == np.argsort(order).tolist()
    assert (match.spectrum[500:] == -1).all()
    assert (match.source == match.spectrum).all()
    assert not match.ambiguous.any()


@pytest.mark.parametrize(
    ("changes", "spectrum", "source"),
    [({}, 0, 0), ({"release": ""}, 0, 0), ({"release": "sdss5"}, -1, 0), ({"field": "other"}, -1, 0)],
)
def test_a_spectrum_contradicts_its_row_in_nothing(changes: dict[str, str], spectrum: int, source: int) -> None:
    star = star_record(1).star
    values = {"release": "dr17", "telescope": star.telescope, "place": star.field, "obj": star.obj}
    matcher = Matcher("star", {part: pa.array([value]) for part, value in values.items()}, np.zeros(1, np.int64))
    match = matcher.match([moved(star_record(1), **changes)])
    assert (match.spectrum[0], match.source[0]) == (spectrum, source)


def test_visits_with_the_same_name_but_for_the_plate_are_told_apart() -> None:
    record = visit_record(1)
    parts = {
        "telescope": pa.array(["apo25m"] * 2),
        "plate": pa.array(["1", record.visit.plate]),
        "mjd": pa.array([str(record.visit.mjd)] * 2),
        "fiber": pa.array([str(record.visit.fiber)] * 2),
        "obj": pa.array([record.star.obj] * 2),
    }
    assert Matcher("visit", parts, np.arange(2)).match([record]).spectrum.tolist() == [1]


def dr12(obj: str, path: str, telescope: str = "apo1m", field: str = "moving_groups") -> SpectrumRecord:
    record = moved(star_record(1), release="dr12", apred="r5", telescope=telescope, field=field, healpix=-1, obj=obj)
    return replace(record, path=f"stars/{path}")


def matcher_of(files: list[str], objs: list[str], telescope: str = "apo1m", field: str = "moving_groups") -> Matcher:
    parts = {
        "telescope": pa.array([telescope] * len(files)),
        "place": pa.array([field] * len(files)),
        "obj": pa.array(objs),
        **name_parts(pa.array(files)),
    }
    return Matcher("star", parts, np.arange(len(files)))


def test_stars_are_found_by_the_name_of_their_file() -> None:
    matcher = matcher_of(
        ["apStar-r5-HD8724.fits", "apStar-r5-HD21581.fits"], ["2M01261759+1707352", "2M03285449-0025029"]
    )
    match = matcher.match([dr12("HD21581", "apStar-r5-HD21581.fits"), dr12("HD1", "apStar-r5-HD1.fits")])
    assert (match.spectrum.tolist(), match.source.tolist()) == ([1, -1], [1, -1])
    # Packed, it is the same file; in another field it is another one of the same star.
    assert matcher.match([dr12("HD21581", "apStar-r5-HD21581.fits.gz")]).spectrum.tolist() == [1]
    elsewhere = matcher.match([dr12("HD21581", "apStar-r5-HD21581.fits", field="calibration")])
    assert (elsewhere.spectrum.tolist(), elsewhere.source.tolist()) == ([-1], [1])


def test_commissioning_data_are_another_spectrum_of_the_star() -> None:
    name = "2M00000032+5737103"
    both = matcher_of([f"apStar-r5-{name}.fits", f"apStarC-r5-{name}.fits"], [name] * 2)
    records = [dr12(name, f"apStarC-r5-{name}.fits"), dr12(name, f"apStar-r5-{name}.fits")]
    assert both.match(records).spectrum.tolist() == [1, 0]
    one = matcher_of([f"apStar-r5-{name}.fits"], [name])
    match = one.match(records)
    assert (match.spectrum.tolist(), match.source.tolist()) == ([-1, 0], [0, 0])


@pytest.mark.parametrize(
    ("of_rows", "spectrum", "source"),
    [
        (None, [0, -1], [0, 0]),  # a table that does not tell
        ([""], [0, -1], [0, 0]),
        (["no"], [0, -1], [0, 0]),
        (["yes"], [-1, 0], [0, 0]),
        (["yes", "no"], [1, 0], [1, 0]),
        (["", "yes"], [-1, 1], [-1, 1]),
    ],
)
def test_a_row_is_of_commissioning_data_only_if_it_says_so(
    of_rows: list[str] | None, spectrum: list[int], source: list[int]
) -> None:
    record = dr12("2M1", "apStar-r5-2M1.fits")
    commissioning = moved(replace(record, path="stars/apStarC-r5-2M1.fits"), commissioning=True)
    rows = len(of_rows or [""])
    parts = {"telescope": pa.array(["apo1m"] * rows), "obj": pa.array(["2M1"] * rows)}
    if of_rows is not None:
        parts["commissioning"] = pa.array(of_rows)
    match = Matcher("star", parts, np.arange(rows)).match([record, commissioning])
    assert (match.spectrum.tolist(), match.source.tolist()) == (spectrum, source)


def test_names_with_an_mjd_behind_them_find_their_star() -> None:
    name = "2M21353892+4229507"
    matcher = matcher_of([f"apStar-r5-{name}.fits", "apStar-r5-VESTA-55900.fits"], [name, "VESTA-55900"])
    epoch, itself, asteroid, other = matcher.match(
        [
            dr12(f"{name}-55960", f"apStar-r5-{name}-55960.fits"),
            dr12(name, f"apStar-r5-{name}.fits"),
            dr12("VESTA-55900", "apStar-r5-VESTA-55900.fits"),
            dr12("2M9-55960", "apStar-r5-2M9-55960.fits"),
        ]
    ).source
    assert (epoch, itself, asteroid, other) == (0, 0, 1, -1)
    spectra = matcher.match([dr12(f"{name}-55960", f"apStar-r5-{name}-55960.fits")]).spectrum
    assert spectra.tolist() == [-1]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_epochs_of_stars_that_only_a_file_names_find_their_star(suffix: str) -> None:
    """The 1-m telescope names files by the reduction's names; a star may have a file of each kind."""
    matcher = matcher_of(
        ["apStar-r5-HD8724.fits", "apStar-r5-2M1.fits", "apStarC-r5-2M1.fits"], ["2M01261759+1707352", "2M1", "2M1"]
    )
    match = matcher.match(
        [
            dr12("HD8724-55960", f"apStar-r5-HD8724-55960.fits{suffix}"),
            dr12("2M1-55960", f"apStar-r5-2M1-55960.fits{suffix}"),
            dr12("2M1-55760", f"apStarC-r5-2M1-55760.fits{suffix}"),
            dr12("HD8725-55960", f"apStar-r5-HD8725-55960.fits{suffix}"),
        ]
    )
    assert match.source.tolist() == [0, 1, 2, -1]
    assert match.spectrum.tolist() == [-1] * 4
    assert not match.ambiguous.any()


def test_versions_of_a_star_are_one_file() -> None:
    parts = name_parts(
        pa.array(
            [
                "apStar-1.3-apo25m-2M1+2-59866.fits",
                "x/apStar-1.3-apo25m-2M1+2.fits",
                "asStarC-r5-2M1.fits.gz",
                "apStar-r5-2M1-55960.fits",
                "mwmStar-0.6.0-5.fits",
                "",
            ]
        )
    )
    assert parts["star_file"].to_pylist() == [
        "apStar-1.3-apo25m-2M1+2.fits", "apStar-1.3-apo25m-2M1+2.fits", "asStarC-r5-2M1.fits",
        "apStar-r5-2M1-55960.fits", "", "",
    ]  # fmt: skip
    assert parts["kind"].to_pylist() == ["apStar", "apStar", "asStarC", "apStar", "", ""]
