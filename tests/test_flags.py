"""`python -m apnet_fast.flags`."""

from __future__ import annotations

import pytest

from apnet_fast.flags import print_tables
from apnet_fast.recipes.flag_tables import TABLES


def test_every_table_and_bit_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_tables()
    printed = capsys.readouterr().out
    for table in TABLES:
        assert all(bit.name in printed for bit in table.bits)
