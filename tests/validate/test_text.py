"""Cells of a text table stand below each other."""

from __future__ import annotations

from apnet_fast.validate.text import aligned


def test_columns_are_as_wide_as_their_longest_cell() -> None:
    lines = aligned([("a", "rows", "x"), ("long name", "7", "")])
    assert lines == ["a          rows  x", "long name  7"]
