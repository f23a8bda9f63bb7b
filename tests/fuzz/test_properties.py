"""Inputs of any content: hypothesis looks for those that are not handled."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apnet_fast.catalog.sources import SourceTable
from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.networks.checkpoint import load_checkpoint
from apnet_fast.report.run_folder import read_run
from apnet_fast.spectra import read_spectra
from apnet_fast.spectra.pack import MANIFEST, load_manifest
from apnet_fast.support.errors import UsageError

ANY_NUMBER = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
# Documents that have the keys of the real ones, with anything in them.
MANIFESTS = st.fixed_dictionaries(
    {"format": st.just("apnet_fast pack"), "version": st.just(2), "spectra": LEAVES},
    optional={
        "inputs": DOCUMENTS,
        "without_data": DOCUMENTS,
        "spectra_per_file": DOCUMENTS,
        "files": DOCUMENTS
        | st.dictionaries(
            st.text(max_size=20),
            st.fixed_dictionaries({}, optional=dict.fromkeys(("sha256", "bytes", "star", "visit"), LEAVES)),
            max_size=3,
        ),
    },
)
FILES = st.binary(max_size=4000) | st.binary(max_size=400).map(lambda rest: b"SIMPLE  =                    T" + rest)
LINES = st.lists(st.binary(max_size=40), max_size=6).map(b"\n".join)


def handled(call: object, *arguments: object) -> None:
    """Call; an error for the user is an answer too."""
    with suppress(UsageError):
        call(*arguments)  # type: ignore[operator]


@given(document=DOCUMENTS | MANIFESTS)
@ANY_NUMBER
def test_any_document_as_manifest_of_a_pack(tmp_path: Path, document: object) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps(document))
    handled(load_manifest, tmp_path)
    handled(resolve_inputs, [str(tmp_path)])
    read_spectra(str(tmp_path / "000000.arrow"))


@given(document=DOCUMENTS)
@ANY_NUMBER
def test_any_document_as_record_of_a_run(tmp_path: Path, document: object) -> None:
    (tmp_path / "run.json").write_text(json.dumps(document))
    handled(read_run, tmp_path)


@given(content=LINES)
@ANY_NUMBER
def test_any_lines_as_a_list(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    handled(resolve_inputs, [f"@{tmp_path / 'list.txt'}"])


@given(content=FILES)
@ANY_NUMBER
def test_any_bytes_as_a_file_of_spectra(tmp_path: Path, content: bytes) -> None:
    for name in ("apStar-dr17-2M00000000+0000000.fits", "mwmStar-0.6.0-1.fits", "other.fits"):
        (tmp_path / name).write_bytes(content)
        batch = read_spectra(str(tmp_path / name))
        assert all(record.reason is not None for record in batch.records)


@given(content=FILES | st.binary(max_size=400).map(lambda rest: b"PAR1" + rest + b"PAR1"))
@ANY_NUMBER
def test_any_bytes_as_a_table(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "table.fits").write_bytes(content)
    with pytest.raises(UsageError):
        SourceTable.load(tmp_path / "table.fits")


@given(content=FILES | st.binary(max_size=400).map(lambda rest: len(rest).to_bytes(8, "little") + rest))
@ANY_NUMBER
def test_any_bytes_as_weights(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(UsageError):
        load_checkpoint(tmp_path / "w.safetensors")
