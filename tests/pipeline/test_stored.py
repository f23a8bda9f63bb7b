"""Stored JSON is used whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from apnet_fast.pipeline.stored import StoredPlan, StoredRecord, Unsound, checksum_of, read_marker, read_stored

SHA = "0" * 64
MARKER: dict[str, Any] = {
    "run": SHA,
    "parts": {"star": {"sha256": SHA, "bytes": 9, "rows": 2, "widths": {"obj": 5}}},
    "reasons": {"no_data": 1},
    "incomplete_photometry": 0,
    "flux": {"spectra": 2, "implausible": 1, "without_scatter": 0},
    "worthless": 0,
    "instructions": "torch AVX2",
    "files": ["", "1:2"],
}


def stored(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps({**content, "checksum": checksum_of(content)}))
    return path


def test_a_sound_marker_is_read(tmp_path: Path) -> None:
    marker = read_marker(stored(tmp_path / "m.json", MARKER))
    assert marker.parts["star"].widths == {"obj": 5}
    assert (marker.reasons, marker.files) == ({"no_data": 1}, ["", "1:2"])


@pytest.mark.parametrize(
    "change",
    [
        {"run": 3},
        {"run": "no hash"},
        {"parts": []},
        {"parts": {"galaxy": MARKER["parts"]["star"]}},
        {"parts": {"star": {"sha256": SHA, "bytes": 9, "rows": -1, "widths": {}}}},
        {"parts": {"star": {"sha256": SHA, "bytes": 9, "rows": 1, "widths": {"obj": 10**18}}}},
        {"parts": {"star": {"sha256": SHA, "bytes": 9, "rows": 1.5, "widths": {}}}},
        {"parts": {"star": {"sha256": SHA, "bytes": "9", "rows": 1, "widths": {}}}},
        {"reasons": {"no_data": "many"}},
        {"reasons": None},
        {"incomplete_photometry": 10**30},
        {"flux": {"spectra": 2}},
        {"worthless": -1},
        {"files": {"a": 1}},
        {"files": [1]},
    ],
    ids=str,
)
def test_a_marker_of_a_wrong_shape_is_none_even_with_a_right_checksum(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Unsound):
        read_marker(stored(tmp_path / "m.json", MARKER | change))


@pytest.mark.parametrize("key", MARKER)
def test_a_marker_needs_every_key(key: str, tmp_path: Path) -> None:
    with pytest.raises(Unsound):
        read_marker(stored(tmp_path / "m.json", {name: value for name, value in MARKER.items() if name != key}))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"3", b"\xff\xfe", b"\0" * 100, b"[" * 200_000, b'{"a":' * 100_000,
        b'{"version": "1", "spectra": "both", "shards": ' + b"9" * 5000 + b"}",
        b'{"version": "1", "spectra": "none", "shards": 3}',
    ],
    ids=lambda content: str(content[:20]),
)  # fmt: skip
@pytest.mark.parametrize("shape", [StoredPlan, StoredRecord, dict[str, Any]])
def test_what_is_no_json_of_the_shape_is_unsound(content: bytes, shape: type, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    if shape == dict[str, Any] and content.startswith(b'{"version'):
        return  # that is a mapping
    with pytest.raises(Unsound):
        read_stored(tmp_path / "plan.json", shape)


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    os.symlink("/dev/zero", tmp_path / "zero.json")
    (tmp_path / "folder.json").mkdir()
    for name in ("pipe", "zero", "folder"):
        with pytest.raises(Unsound):
            read_stored(tmp_path / f"{name}.json", StoredRecord)
    with pytest.raises(FileNotFoundError):
        read_stored(tmp_path / "none.json", StoredRecord)
