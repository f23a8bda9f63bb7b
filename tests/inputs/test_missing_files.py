"""A sample of a table's files is looked for before they are read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apnet_fast.inputs.missing_files import as_packed, look_for
from tests.inputs.named import touch


def test_the_sample_is_spread_over_all_files(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    monkeypatch.setattr(os.path, "lexists", lambda path: looked.append(path) or True)
    files = [f"{i:06d}.fits" for i in range(123_456)]
    sample = look_for(files)
    assert 900 <= sample.looked_for <= 1000
    assert looked[0] == files[0]
    assert int(looked[-1][:6]) > 123_000
    assert not sample.mostly_missing


@pytest.mark.parametrize(("present", "mostly"), [(0, True), (4, True), (5, False), (10, False)])
def test_most_files_may_be_missing(present: int, mostly: bool, tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.fits" for i in range(10)]
    for file in files[:present]:
        touch(file)
    sample = look_for([str(file) for file in files])
    assert (len(sample.missing), sample.mostly_missing) == (10 - present, mostly)


def test_packed_files_are_found_by_their_plain_names(tmp_path: Path) -> None:
    touch(tmp_path / "a.fits.gz")
    touch(tmp_path / "b.fits.fz")
    touch(tmp_path / "c.fits")
    touch(tmp_path / "c.fits.gz")
    names = [str(tmp_path / name) for name in ("a.fits", "b.fits", "c.fits", "d.fits")]
    assert look_for(names).packed
    assert [os.path.basename(as_packed(name)) for name in names] == ["a.fits.gz", "b.fits.fz", "c.fits", "d.fits"]
    assert not look_for(names[2:]).packed
