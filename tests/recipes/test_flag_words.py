"""Values of result_flags in words."""

from __future__ import annotations

import pytest

from apnet_fast.recipes import flag_tables
from apnet_fast.recipes.flag_words import number_of, value_text
from apnet_fast.support.errors import UsageError


@pytest.mark.parametrize("table", flag_tables.TABLES, ids=lambda table: table.name)
def test_every_bit_alone_is_named_with_its_role(table: flag_tables.FlagTable) -> None:
    for bit in table.bits:
        head, line = value_text(1 << bit.number, (table,)).splitlines()[1:]
        assert bit.name in line
        assert ("flag_warn" in head.partition(": ")[2]) is (bit.name in table.warn)
        assert ("flag_bad" in head.partition(": ")[2]) is (bit.name in table.bad)


@pytest.mark.parametrize("word", ["-1", "teff", "1.5", ""])
def test_what_is_no_value_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="not a value of result_flags"):
        number_of(word)
