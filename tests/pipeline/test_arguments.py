"""Arguments of a run: only three have no default, and what makes no sense is refused at once."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_type_hints

import pytest

from apnet_fast.pipeline import arguments
from apnet_fast.pipeline.arguments import RunArguments, RunOptions
from apnet_fast.support.errors import UsageError


def test_only_inputs_weights_and_output_must_be_given() -> None:
    required = [field.name for field in fields(RunArguments) if field.default is MISSING]
    assert required == ["inputs", "weights", "output"]


def test_every_field_is_documented() -> None:
    source = inspect.getsource(arguments)
    for field in fields(RunArguments):
        _, _, after = source.partition(f"\n    {field.name}: ")
        assert after.partition("\n")[2].lstrip().startswith('"""'), field.name


def test_the_catalog_stands_for_its_files(tmp_path: Path) -> None:
    (tmp_path / "allStar.fits").touch()
    given = RunArguments((), Path("w"), tmp_path, catalog=tmp_path / "allStar.fits")
    assert given.words == (str(tmp_path / "allStar.fits"),)
    assert RunArguments(("tree",), Path("w"), tmp_path, catalog=tmp_path / "allStar.fits").words == ("tree",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ()}, "no input"),
        ({"readers": -1}, "--readers is too small"),
        ({"threads": 0}, "--threads is too small"),
        ({"batch_size": 0}, "--batch-size is too small"),
        ({"shard_size": 0}, "--shard-size is too small"),
        ({"max_failures": -1}, "--max-failures is too small"),
        ({"catalog": Path("nowhere.fits")}, "--catalog is not a file"),
        ({"spectra": "all"}, "unknown --spectra"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, object], message: str) -> None:
    given: dict[str, object] = {"inputs": ("tree",), "weights": Path("w"), "output": Path("out")}
    with pytest.raises(UsageError, match=message):
        RunArguments(**(given | changes))  # type: ignore[arg-type]


def test_the_options_of_run_survey_are_the_fields_that_are_no_paths() -> None:
    of_fields = get_type_hints(RunArguments)
    for name in ("inputs", "weights", "output", "catalog", "root"):
        del of_fields[name]
    assert get_type_hints(RunOptions) == of_fields
    assert list(RunOptions.__annotations__) == list(of_fields)
