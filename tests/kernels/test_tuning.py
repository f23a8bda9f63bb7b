"""Tuning tables: shipped ones are whole, a saved one is read again, and the hash follows what kernels see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.kernels.tuning import load_tuning, shipped, table_for


def test_tables_are_whole_and_differ_in_their_hash() -> None:
    tables = shipped()
    assert set(tables) == {"generic", "sm80", "sm90", "sm100"}
    assert len({table.sha256 for table in tables.values()}) == 4
    assert table_for("sm90").name == "sm90"
    assert table_for("sm75").name == table_for("gfx942").name == "generic"
    for table in tables.values():
        for shape in ("8-8", "8-16", "16-16", "16-32", "32-32", "32-64", "64-64"):
            config = table.convs[shape]
            c_out = int(shape.split("-")[1])
            assert config.positions * c_out % config.block_n == 0, (table.name, shape)
            assert 4320 % config.positions == 0
    renamed = replace(tables["sm90"], name="other", measured="elsewhere")
    assert renamed.sha256 == tables["sm90"].sha256
    assert replace(tables["sm90"], group_rows=1).sha256 != tables["sm90"].sha256


def test_a_table_is_saved_and_read_again(tmp_path: Path) -> None:
    table = table_for("sm80")
    table.save(tmp_path / "t.json")
    assert load_tuning(tmp_path / "t.json") == table


def test_a_shape_that_the_table_lacks_gets_blocks() -> None:
    config = replace(table_for("sm90"), convs={}).conv(8, 32)
    assert config.positions * 32 % config.block_n == 0
