"""What tables know of files that cannot be read."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from apnet_fast.inputs.known_files import KnownFile, KnownFiles, completed
from apnet_fast.spectra import read_apstar
from tests.catalog.samples import star_record

FILES = tuple(f"stars/apStar-r5-{i:04d}.fits" for i in range(1000))


def known_files(files: tuple[str, ...] = FILES, field: str = "M67") -> KnownFiles:
    n = len(files)
    return KnownFiles(
        files,
        {
            "release": pa.array(["dr12"] * n),
            "apred": pa.array(["r5"] * n),
            "telescope": pa.array(["apo1m"] * n),
            "prefix": pa.array(["ap"] * n),
            "obj": pa.array([f"HD{i}" for i in range(n)]),
            "field": pa.array([field] * n),
            "healpix": pa.array([-1] * n, pa.int64()),
            "sdss_id": pa.array(range(n), pa.int64()),
        },
    )


def test_files_are_found_by_path() -> None:
    known = known_files()
    assert known.get(FILES[7]) == KnownFile("dr12", "r5", "apo1m", "ap", "HD7", "M67", -1, 7)
    assert known.get("stars/apStar-r5-0007.fit") is None
    assert known.get("zzz") is None
    assert KnownFiles().get(FILES[7]) is None


def test_a_part_knows_its_files_and_is_small() -> None:
    part = known_files().part(FILES[500:510])
    assert len(part) == 10
    assert [part.get(path) == known_files().get(path) for path in FILES[500:510]] == [True] * 10
    assert part.get(FILES[499]) is None
    sent = pickle.dumps(part)
    assert len(sent) < len(pickle.dumps(known_files())) / 10
    assert pickle.loads(sent).get(FILES[505]) == known_files().get(FILES[505])
    assert len(known_files().part([])) == len(KnownFiles().part(FILES[:3])) == 0


def test_of_two_tables_the_first_counts() -> None:
    joined = KnownFiles.joined([known_files(FILES[:600]), KnownFiles(), known_files(FILES[300:], "M15")])
    fields = [joined.get(path).field for path in FILES]  # type: ignore[union-attr]
    assert fields == ["M67"] * 600 + ["M15"] * 400


def test_a_missing_file_is_what_its_row_says(tmp_path: Path) -> None:
    path = str(tmp_path / "apStar-r5-HD8724.fits")
    missing = read_apstar(path).records
    known = KnownFiles((path,), {name: pa.array([value]) for name, value in {
        "release": "dr12", "apred": "r5", "telescope": "apo1m", "prefix": "ap", "obj": "HD8724",
        "field": "moving_groups", "healpix": -1, "sdss_id": 54_000_000}.items()})  # fmt: skip
    assert missing[0].star.telescope == "apo25m"  # the name does not tell
    for record in completed(missing, known):
        assert (record.star.telescope, record.star.field, record.sdss_id) == ("apo1m", "moving_groups", 54_000_000)
        assert record.identity.startswith("dr12/r5/apo1m/moving_groups/HD8724/")


@pytest.mark.parametrize("row", [0, 3])
def test_a_file_that_was_read_knows_best(row: int) -> None:
    record = replace(star_record(1), path=FILES[1], row=row)
    assert list(completed([record], known_files())) == [record]


def test_files_of_no_table_stay_as_they_are() -> None:
    record = replace(star_record(1), row=-1)
    assert list(completed([record], known_files())) == [record]
    assert list(completed([record], KnownFiles())) == [record]
