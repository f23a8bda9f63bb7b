"""The folder of a run is read as far as it exists."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from apnet_fast.catalog.names import RUN_FILE
from apnet_fast.report.run_folder import RunFolder, catalogue_files, read_run
from apnet_fast.support.errors import UsageError
from tests.report.runs import RECORD, run_folder


def test_rows_flags_and_failures_are_counted(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path, RECORD, failures=30))
    stars, visits = run.catalogues
    assert (stars.product, visits.product) == ("star", "visit")
    assert stars.bits == {6: 3, 20: 1}
    assert (stars.warn, stars.bad, stars.with_labels) == (3, 0, stars.rows)
    assert stars.flag_table is not None
    assert stars.flag_table.name == "page"
    assert run.quarantine is not None
    assert run.quarantine.reasons == {("star", "no_data"): 30}
    assert len(run.quarantine.examples) == 20


def test_of_several_versions_the_newest_is_read(tmp_path: Path) -> None:
    run_folder(tmp_path, RECORD)
    older = tmp_path / "astraAllStarAPOGEENet-0.2.0.parquet"
    older.write_bytes(b"")
    os.utime(older, (1, 1))
    assert catalogue_files(tmp_path)["star"].name == "astraAllStarAPOGEENet-0.1.0.parquet"


@pytest.mark.parametrize(
    ("record", "started"),
    [
        ({"started": "2026-01-01T00:00:00"}, datetime(2026, 1, 1, tzinfo=UTC)),
        ({"started": "2026-01-01T00:00:00", "resumed_shards": 3}, None),
        ({"started": "yesterday"}, None),
        ({}, None),
    ],
)
def test_the_start_is_known_if_one_command_did_all(record: dict[str, object], started: datetime | None) -> None:
    run = RunFolder(Path(), record, [], None)
    assert run.started == started
    assert run.fingerprint == {}


def test_broken_files_are_named(tmp_path: Path) -> None:
    run_folder(tmp_path, RECORD)
    (tmp_path / "quarantine.parquet").write_bytes(b"no parquet")
    with pytest.raises(UsageError, match=r"list of failures.*quarantine\.parquet"):
        read_run(tmp_path)
    (tmp_path / "astraAllStarAPOGEENet-0.1.0.parquet").write_bytes(b"no parquet")
    with pytest.raises(UsageError, match=r"cannot read the catalogue.*Star"):
        read_run(tmp_path)


def test_a_record_nested_too_deep_is_refused(tmp_path: Path) -> None:
    run_folder(tmp_path, RECORD)
    (tmp_path / "run.json").write_text("[" * 100_000)
    with pytest.raises(UsageError, match="cannot read the record"):
        read_run(tmp_path)


@pytest.mark.parametrize("error", [pa.ArrowNotImplementedError("wide integers"), pa.ArrowInvalid("no footer")])
def test_a_list_of_failures_that_arrow_cannot_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def read_table(path: Path) -> None:
        raise error

    run_folder(tmp_path, RECORD, failures=2)
    monkeypatch.setattr("apnet_fast.report.run_folder.pq.read_table", read_table)
    with pytest.raises(UsageError, match="cannot read the list of failures"):
        read_run(tmp_path)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "names",
    [
        (RUN_FILE,),
        ("quarantine.parquet",),
        ("astraAllStarAPOGEENet-0.1.0.parquet",),
        ("astraAllStarAPOGEENet-0.1.0.parquet", "astraAllVisitAPOGEENet-0.1.0.parquet"),
    ],
)
def test_what_is_no_file_is_named_and_not_read(
    names: tuple[str, ...], put_no_file: Callable[[Path], None], tmp_path: Path
) -> None:
    run_folder(tmp_path, RECORD, failures=3)
    for name in names:
        (tmp_path / "pipe").unlink(missing_ok=True)
        put_no_file(tmp_path / name)
    with pytest.raises(UsageError, match=r"cannot read.*not a regular file"):
        read_run(tmp_path)
