"""Result files: joined from shards, known again by their checksums."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from apnet_fast.catalog.names import RUN_FILE
from apnet_fast.pipeline.results import Results
from apnet_fast.pipeline.run import run
from tests.pipeline.runs import arguments


@pytest.fixture(scope="module")
def finished(tree: Path, small_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The results of a quick run."""
    output = tmp_path_factory.mktemp("finished")
    run(arguments([tree], small_weights, output, engine="null"))
    return Results(output, ("star", "visit"))


def test_a_product_is_two_files(tmp_path: Path) -> None:
    names = [path.name for path in Results(tmp_path, ("star",)).paths]
    assert [name.partition("-")[0] for name in names] == ["astraAllStarAPOGEENet"] * 2 + ["quarantine.parquet"]
    assert {Path(name).suffix for name in names} == {".fits", ".parquet"}


def test_a_whole_run_is_known_again_and_a_changed_one_is_not(finished: Results) -> None:
    record = finished.record_of_whole()
    assert record is not None
    assert {name: {"bytes": file.bytes, "sha256": file.sha256} for name, file in record.products.items()} == (
        finished.contents()
    )
    path = finished.paths[0]
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    assert finished.record_of_whole() is None
    path.write_bytes(content)
    assert finished.record_of_whole() == record
    text = finished.record.read_text()
    finished.record.write_text(json.dumps(json.loads(text) | {"products": {}}))
    assert finished.record_of_whole() is None
    finished.record.write_text(text)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["quarantine.parquet", "astraAllStarAPOGEENet-0.1.0.fits", RUN_FILE])
def test_results_that_are_no_files_are_made_again(
    name: str, put_no_file: Callable[[Path], None], tree: Path, small_weights: Path, tmp_path: Path
) -> None:
    given = arguments([tree], small_weights, tmp_path / "out", engine="null")
    run(given)
    before = Results(given.output, ("star", "visit")).record_of_whole()
    put_no_file(given.output / name)
    run(given)
    again = Results(given.output, ("star", "visit")).record_of_whole()
    assert before is not None
    assert again is not None
    assert (given.output / name).is_file()
    assert not (given.output / name).is_symlink()
    assert again.products.keys() == before.products.keys()
