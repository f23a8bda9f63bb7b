"""Summary tables as inputs: each kind gives the files of a tree, and what is wrong with a table is said."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from apnet_fast.catalog.sources import SourceTable
from apnet_fast.inputs.known_files import completed
from apnet_fast.inputs.summary_tables import read_table
from apnet_fast.inputs.table_rows import files_of_table
from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.pipeline.run import run
from apnet_fast.simulate import simulate_tree
from apnet_fast.spectra import read_apstar
from apnet_fast.support.errors import UsageError
from tests.inputs.survey_tables import of_astra, of_reduction, records_of, write
from tests.pipeline.runs import arguments, catalogue, table_bytes

HOMES = {"dr17": "dr17/apogee/spectro/redux", "sdss5": "sdsswork/mwm/apogee/spectro/redux"}


@pytest.fixture(scope="module")
def sas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SAS: trees of DR17, one of whose stars is of the 1-m telescope and one of LCO, and of SDSS-V."""
    root = tmp_path_factory.mktemp("sas")
    made = tmp_path_factory.mktemp("made")
    for layout, home in HOMES.items():
        tree = simulate_tree(made / layout, stars=3, layout=layout, visits=2, seed=6, edge_cases=layout == "dr17")
        (root / home).parent.mkdir(parents=True)
        os.rename(tree, root / home)
        for path in (root / home).rglob("*.fits"):
            if path.stem.endswith(("-TRUNCATED", "-TEXT")) or not path.exists():
                path.unlink()
    return root


def whole_files(root: Path, layout: str) -> set[str]:
    """Files of a layout whose visits are named: those that both kinds of tables can lead to."""
    return {
        record.path
        for record in records_of(root / HOMES[layout])
        if record.product == "visit" and record.reason is None and record.visit.file
    }


def rows_of(root: Path, layout: str) -> list:
    wanted = whole_files(root, layout)
    return [record for record in records_of(root / HOMES[layout]) if record.path in wanted]


def plain(paths: tuple[str, ...] | set[str]) -> set[str]:
    """The files themselves: SDSS-V's names without STARVER are links."""
    return {os.path.realpath(path) for path in paths}


@pytest.mark.parametrize("suffix", [".fits", ".parquet"])
@pytest.mark.parametrize("kind", ["star", "visit"])
@pytest.mark.parametrize("layout", ["dr17", "sdss5"])
def test_tables_of_the_reductions(layout: str, kind: str, suffix: str, sas: Path, tmp_path: Path) -> None:
    records = rows_of(sas, layout)
    table = write(tmp_path / f"table{suffix}", of_reduction(records, kind))
    found = files_of_table(str(table), str(sas))
    assert set(found.files) == whole_files(sas, layout)
    assert list(found.files) == sorted(found.files)
    assert found.nameless_rows == 0
    telescopes = {record.star.telescope for record in records}
    assert telescopes >= ({"apo25m", "lco25m", "apo1m"} if layout == "dr17" else {"apo25m"})


@pytest.mark.parametrize("suffix", [".fits", ".parquet"])
@pytest.mark.parametrize("kind", ["star", "visit"])
def test_astra_tables_hold_both_surveys(kind: str, suffix: str, sas: Path, tmp_path: Path) -> None:
    records = [*rows_of(sas, "dr17"), *rows_of(sas, "sdss5")]
    table = write(tmp_path / f"table{suffix}", of_astra(records, kind), instrument="APOGEE")
    found = files_of_table(str(table), str(sas))
    assert plain(found.files) == whole_files(sas, "dr17") | whole_files(sas, "sdss5")
    # Stars of the same tables moved to where the rows do not say are not found: it is the rows that lead there.
    wrong = {**of_astra(records, kind), "healpix": [1] * len(of_astra(records, kind)["healpix"])}
    moved = files_of_table(str(write(tmp_path / f"wrong{suffix}", wrong)), str(sas))
    assert plain(moved.files) & whole_files(sas, "sdss5") == set()
    assert plain(moved.files) >= whole_files(sas, "dr17")


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("apStar-s3-2M1.fits", "dr10/apogee/spectro/redux/r3/s3/4424/apStar-s3-2M1.fits"),
        ("apStar-r8-2M1.fits", "dr14/apogee/spectro/redux/r8/stars/apo25m/4424/apStar-r8-2M1.fits"),
        ("apVisit-r8-5215-55823-164.fits", "dr14/apogee/spectro/redux/r8/stars/apo25m/4424/apStar-r8-2M1.fits"),
        ("apStar-r12-2M1.fits", "dr16/apogee/spectro/redux/r12/stars/apo25m/M67/apStar-r12-2M1.fits"),
    ],
)
def test_older_releases_sort_by_location(file: str, path: str, tmp_path: Path) -> None:
    columns = {"FILE": [file], "APOGEE_ID": ["2M1"], "TELESCOPE": ["apo25m"], "FIELD": ["M67"], "LOCATION_ID": [4424]}
    release, reduction = path.split("/")[0], path.split("/")[4]
    (tmp_path / release / "apogee/spectro/redux" / reduction).mkdir(parents=True)
    found = files_of_table(str(write(tmp_path / "allStar.fits", columns)), str(tmp_path))
    assert found.files == (str(tmp_path / path),)


@pytest.mark.parametrize("suffix", [".fits", ".parquet"])
def test_tables_of_astra_0_8_are_read(suffix: str, sas: Path, tmp_path: Path) -> None:
    """Without field and prefix, with further columns, the version an integer."""
    records = rows_of(sas, "sdss5")
    for kind in ("star", "visit"):
        columns = of_astra(records, kind)
        rows = len(columns.pop("field"))
        columns.pop("prefix")
        columns |= {"in_stack": [1] * rows, "v_astra": [8001] * rows, "created": ["2025-07-01"] * rows}
        columns |= {"modified": ["2025-07-02"] * rows, "starver": ["59866"] * rows, "sdss_id": list(range(1, rows + 1))}
        table = write(tmp_path / f"{kind}{suffix}", columns, instrument="APOGEE" if suffix == ".fits" else "")
        found = files_of_table(str(table), str(sas))
        assert plain(found.files) == whole_files(sas, "sdss5")
        assert found.known.get(found.files[0]).sdss_id > 0  # type: ignore[union-attr]


def test_commissioning_files_are_named_by_tables_of_stars_and_of_visits(tmp_path: Path) -> None:
    (tmp_path / "dr12/apogee/spectro/redux/r5").mkdir(parents=True)
    columns = {"FILE": ["apStarC-r5-2M1.fits"], "APOGEE_ID": ["2M1"], "TELESCOPE": ["apo25m"], "FIELD": ["M67"]}
    columns["LOCATION_ID"] = [4424]  # type: ignore[list-item]
    star = files_of_table(str(write(tmp_path / "allStar.fits", columns)), str(tmp_path))
    assert [os.path.basename(path) for path in star.files] == ["apStarC-r5-2M1.fits"]
    for mjd, name in ((55760, "apStarC-r5-2M1.fits"), (55761, "apStar-r5-2M1.fits")):
        columns["FILE"] = [f"apVisit-r5-5215-{mjd}-164.fits"]
        visit = files_of_table(str(write(tmp_path / "allVisit.fits", columns)), str(tmp_path))
        assert [os.path.basename(path) for path in visit.files] == [name]


def test_a_tree_of_packed_files_is_found(sas: Path, tmp_path: Path) -> None:
    table = write(tmp_path / "allStar.fits", of_reduction(rows_of(sas, "dr17"), "star"))
    packed = tmp_path / "packed"
    for path in whole_files(sas, "dr17"):
        target = packed / os.path.relpath(path, sas)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_name(f"{target.name}.gz").touch()
    found = files_of_table(str(table), str(packed))
    assert {os.path.relpath(path, packed).removesuffix(".gz") for path in found.files} == {
        os.path.relpath(path, sas) for path in whole_files(sas, "dr17")
    }
    assert all(path.endswith(".fits.gz") and found.known.get(path) for path in found.files)
    assert list(found.files) == sorted(found.files)


@pytest.mark.parametrize("packed_rows", [slice(1, None, 2), slice(1501, 1502)])
def test_packed_files_among_plain_ones_are_found_in_tables_of_many_rows(packed_rows: slice, tmp_path: Path) -> None:
    stars = [f"2M{i:05d}" for i in range(2000)]
    names = [f"apStar-dr17-{star}.fits" for star in stars]
    columns: dict[str, list[object]] = {"FILE": [*names], "APOGEE_ID": [*stars]}
    columns |= {"TELESCOPE": ["apo25m"] * len(stars), "FIELD": ["M67"] * len(stars)}
    expected = list(names)
    expected[packed_rows] = [f"{name}.gz" for name in names[packed_rows]]
    folder = tmp_path / "dr17/apogee/spectro/redux/dr17/stars/apo25m/M67"
    folder.mkdir(parents=True)
    for name in expected:
        (folder / name).touch()
    found = files_of_table(str(write(tmp_path / "allStar.fits", columns)), str(tmp_path))
    assert [os.path.basename(path) for path in found.files] == expected
    assert not found.notes
    for path, star in zip(found.files, stars, strict=True):
        known = found.known.get(path)
        assert known is not None
        assert known.obj == star


def test_files_that_are_not_there_are_told_early_with_what_was_looked_for(sas: Path, tmp_path: Path) -> None:
    table = str(write(tmp_path / "allStar.fits", of_reduction(rows_of(sas, "dr17"), "star")))
    (tmp_path / "empty").mkdir()
    found = files_of_table(table, str(tmp_path / "empty"))
    assert len(found.files) == len(whole_files(sas, "dr17"))
    note = found.notes[0]
    assert f"{len(found.files)} of {len(found.files)} files looked for are not there" in note
    assert f"{tmp_path}/empty/dr17/apogee/spectro/redux/dr17" in note
    assert "--root" in note
    assert not files_of_table(table, str(sas)).notes


def test_rows_of_files_that_are_no_apstar_are_told(sas: Path, tmp_path: Path) -> None:
    columns = of_reduction(rows_of(sas, "dr17"), "star")
    columns["FILE"][0], columns["FILE"][1] = "aspcapStar-r12-2M1.fits", "N/A"
    found = files_of_table(str(write(tmp_path / "allStar.fits", columns)), str(sas))
    assert found.nameless_rows == 2
    assert (
        "1 rows name files that are not apStar or apVisit files of a known reduction, such as aspcapStar"
        in found.notes[0]
    )


def test_the_real_table_of_dr12_gives_every_star_its_place(data: Path, tmp_path: Path) -> None:
    path = data.parent / "real" / "tables" / "allStar-v603-excerpt.fits.gz"
    if not path.exists():
        pytest.skip("no real tables beside APNET_FAST_TEST_DATA")
    rows = read_table(path, ["file", "telescope", "field", "apogee_id", "location_id"]).to_pylist()
    found = files_of_table(str(path), str(tmp_path))
    assert (len(found.files), found.nameless_rows) == (3244, 0)
    records = [read_apstar(name, ("star",)).records[0] for name in found.files]
    records = list(completed(records, found.known))
    places = sorted((os.path.basename(r.path), r.star.telescope, r.star.field, r.star.release) for r in records)
    assert places == sorted((r["file"], r["telescope"], r["field"], "dr12") for r in rows)
    assert sum("apStarC" in record.path for record in records) == 174
    # The same table as --catalog knows each of them, the 49 of the 1-m telescope by the names of their files.
    sources = SourceTable.load(path)
    matches = sources.match(records)
    assert set(matches.table.columns_for("star", matches)["source_match"].to_pylist()) == {"spectrum"}
    objs = dict(zip((row["file"] for row in rows), (row["apogee_id"] for row in rows), strict=True))
    apogee_ids = sources.columns_for("star", matches)["sdss4_apogee_id"].to_pylist()
    assert all(objs[os.path.basename(r.path)] == name for r, name in zip(records, apogee_ids, strict=True))


def test_the_real_tables_of_dr16_are_inputs(data: Path, tmp_path: Path) -> None:
    folder = data.parent / "real" / "tables"
    if not folder.is_dir():
        pytest.skip("no real tables beside APNET_FAST_TEST_DATA")
    star = files_of_table(str(folder / "allStar-dr16-excerpt.fits"), str(tmp_path))
    assert (len(star.files), star.nameless_rows) == (32, 1)
    visit = files_of_table(str(folder / "allVisit-dr16-excerpt.fits"), str(tmp_path))
    # The visits lead to the star without a file too.
    assert set(star.files) < set(visit.files)
    assert len(visit.files) == 33


def test_rows_without_a_file_are_counted(sas: Path, tmp_path: Path) -> None:
    columns = of_reduction(rows_of(sas, "dr17"), "star")
    columns["FILE"][0] = ""
    columns["FIELD"][1] = ""
    found = files_of_table(str(write(tmp_path / "allStar.fits", columns)), str(sas))
    assert found.nameless_rows == 2
    assert len(found.files) == len(whole_files(sas, "dr17")) - 2
    inputs = resolve_inputs([str(tmp_path / "allStar.fits")], str(sas))
    assert (inputs.files, inputs.nameless_rows) == (found.files, 2)
    columns["FILE"] = [""] * len(columns["FILE"])
    with pytest.raises(UsageError, match="no row of the table names a spectrum"):
        files_of_table(str(write(tmp_path / "empty.fits", columns)), str(sas))


def test_no_file_is_looked_at(sas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = write(tmp_path / "allStar.parquet", of_reduction(rows_of(sas, "dr17"), "star"))
    gone = tmp_path / "gone"
    (gone / HOMES["dr17"] / "dr17").mkdir(parents=True)
    stats: list[object] = []
    monkeypatch.setattr(os.path, "isdir", lambda path, real=os.path.isdir: stats.append(path) or real(path))
    found = files_of_table(str(table), str(gone))
    assert len(found.files) == len(whole_files(sas, "dr17"))
    assert len(stats) < 5


def test_tables_that_do_not_say_where_spectra_are(sas: Path, tmp_path: Path) -> None:
    records = rows_of(sas, "dr17")
    cases = [
        ({"RA": [1.0]}, r"are: apred, healpix.*; got columns ra"),
        ({"FILE": ["apStar-dr17-2M1.fits"], "APOGEE_ID": ["2M1"], "FIELD": ["M67"]}, "are: telescope; got"),
        ({**of_astra(records, "star"), "release": ["dr99"] * len(of_astra(records, "star")["obj"])}, "got dr99"),
    ]
    for number, (columns, message) in enumerate(cases):
        table = write(tmp_path / f"{number}.parquet", columns)
        with pytest.raises(UsageError, match=message):
            files_of_table(str(table), str(sas))
    table = write(tmp_path / "allStar.fits", of_reduction(records, "star"))
    with pytest.raises(UsageError, match=r"give --root, or set SAS_BASE_DIR"):
        files_of_table(str(table), None)
    with pytest.raises(UsageError, match="the root is not a folder"):
        files_of_table(str(table), str(tmp_path / "nowhere"))


@pytest.mark.parametrize("root", [None, "."])
@pytest.mark.parametrize(
    ("name", "columns", "rows", "what"),
    [
        (
            "spec-1234-56789-0001.fits",
            ["FLUX", "LOGLAM", "IVAR"],
            9,
            "an optical SDSS spectrum; give the apStar",
        ),
        ("a.fits", ["flux", "loglam", "ivar", "model"], 9, "an optical SDSS spectrum; give the apStar"),
        (
            "a.fits",
            ["FLUX", "IVAR", "WAVELENGTH"],
            1,
            r"of another survey \(.* wavelength\); give the apStar",
        ),
        ("a.parquet", ["flux", "wave"], 9, "a spectrum of another survey"),
        ("aspcapStar-r12-2M1.fits", ["a", "b"], 1, "this is an aspcapStar file; give the apStar"),
        ("a.fits", ["flux", "teff"], 9, "the table does not say where its spectra are"),
        ("allStar.fits", ["ra", "dec"], 9, "the table does not say where its spectra are"),
    ],
)
def test_spectra_kept_as_tables_are_named(
    name: str, columns: list[str], rows: int, what: str, root: str | None, tmp_path: Path
) -> None:
    path = write(tmp_path / name, {column: [1.0] * rows for column in columns})
    with pytest.raises(UsageError, match=what) as refused:
        resolve_inputs([str(path)], root)
    assert str(path) in str(refused.value)


def test_numbers_of_a_table_may_be_text(sas: Path, tmp_path: Path) -> None:
    columns = of_astra(rows_of(sas, "sdss5"), "star")
    columns["healpix"] = [f"{number}.0" for number in columns["healpix"]]
    found = files_of_table(str(write(tmp_path / "t.parquet", columns)), str(sas))
    assert plain(found.files) == whole_files(sas, "sdss5")
    columns["healpix"][0] = "north"
    with pytest.raises(UsageError, match="column healpix cannot be used as integers; got the text 'north'"):
        files_of_table(str(write(tmp_path / "wrong.parquet", columns)), str(sas))


@pytest.mark.parametrize("column", ["FILE", "FIELD", "TELESCOPE"])
@pytest.mark.parametrize("nothing", ["nan", "--", "N/A", ""])
def test_rows_whose_place_is_no_value_name_no_file(column: str, nothing: str, sas: Path, tmp_path: Path) -> None:
    columns = of_reduction(rows_of(sas, "dr17"), "star")
    columns[column][0] = nothing
    found = files_of_table(str(write(tmp_path / "allStar.fits", columns)), str(sas))
    assert found.nameless_rows == 1
    assert set(found.files) < whole_files(sas, "dr17")


def test_names_of_columns_may_have_blanks(sas: Path, tmp_path: Path) -> None:
    columns = of_reduction(rows_of(sas, "dr17"), "star")
    blank = {f" {name}  ": values for name, values in columns.items()}
    found = files_of_table(str(write(tmp_path / "allStar.parquet", blank)), str(sas))
    assert set(found.files) == whole_files(sas, "dr17")


def test_tables_and_files_are_inputs_side_by_side(sas: Path, tmp_path: Path) -> None:
    table = write(tmp_path / "allStar.fits", of_reduction(rows_of(sas, "dr17"), "star"))
    star = min(whole_files(sas, "dr17"))
    named_like_a_table = tmp_path / "allStar-mine.fits"
    shutil.copy(star, named_like_a_table)
    both = resolve_inputs([str(table), star, str(named_like_a_table)], str(sas))
    assert set(both.files) == whole_files(sas, "dr17") | {str(named_like_a_table)}


def test_a_run_over_a_table_is_the_run_over_its_files(sas: Path, small_weights: Path, tmp_path: Path) -> None:
    table = write(tmp_path / "allVisit.fits", of_reduction(rows_of(sas, "dr17"), "visit"))
    files = sorted(whole_files(sas, "dr17"))
    ways: dict[str, tuple[list[Path | str], dict[str, object]]] = {
        "files": ([*files], {}),
        "table": ([table], {"root": sas}),
        "catalog": ([], {"catalog": table, "root": sas}),
        # With inputs a catalog only fills columns.
        "both": ([*files[:2]], {"catalog": table, "root": sas}),
    }
    for name, (inputs, changes) in ways.items():
        run(arguments(inputs, small_weights, tmp_path / name, engine="null", shard_size=100, **changes))
    rows = {name: catalogue(tmp_path / name, "visit") for name in ways}
    assert table_bytes(rows["table"]) == table_bytes(rows["files"])
    same = ["path", "file_row", "identity", "reason"]
    assert rows["catalog"].select(same) == rows["files"].select(same)
    assert len(catalogue(tmp_path / "both", "star")) == 2
    with pytest.raises(UsageError, match="no input"):
        arguments([], small_weights, tmp_path)
