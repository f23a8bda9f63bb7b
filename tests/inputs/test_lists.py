"""Lists as inputs."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.spectra.pack import Manifest
from apnet_fast.support.errors import UsageError
from tests.inputs.named import names, touch


def test_lists_with_comments_blanks_and_missing_files(tmp_path: Path) -> None:
    star = touch(tmp_path / "apStar-dr17-2M1.fits")
    listing = tmp_path / "list.txt"
    listing.write_text(f"# two stars\n\n  {star}  \n{tmp_path}/gone.fits\n{tmp_path}/no_suffix\n")
    assert names([f"@{listing}"]) == ["apStar-dr17-2M1.fits", "gone.fits", "no_suffix"]


@pytest.mark.parametrize(
    ("kind", "what"), [("tree", "a folder"), ("pack", "a pack"), ("allStar.parquet", "a summary table")]
)
def test_a_list_names_files_alone(kind: str, what: str, tmp_path: Path) -> None:
    line = tmp_path / kind
    if kind == "allStar.parquet":
        pq.write_table(pa.table({"file": ["a"], "apogee_id": ["b"]}), line)
    else:
        line.mkdir()
    if kind == "pack":
        Manifest("", 0, {}, 6).write(line)
    listing = tmp_path / "list.txt"
    listing.write_text(f"# with a folder\n{touch(tmp_path / 'apStar-dr17-2M1.fits')}\n {line}\n")
    with pytest.raises(UsageError, match=f"this is {what}; got {line} .*list.txt, line 3.*give {line} as an INPUT"):
        resolve_inputs([f"@{listing}"])
