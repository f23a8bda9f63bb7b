"""Flag tables: numbers of bits, names, roles, and the text that users read."""

from __future__ import annotations

import pytest

from apnet_fast.recipes import flag_tables
from apnet_fast.recipes.flag_tables import ASTRA_06_V2, PAGE, Bit, FlagTable, known_table


def test_bits_of_the_page_are_in_its_order() -> None:
    assert [bit.number for bit in flag_tables.PAGE.bits] == list(range(12))
    assert flag_tables.PAGE.mask("NO_RESULT") == 2048
    assert flag_tables.PAGE.mask("TEFF_UNRELIABLE", "E_TEFF_LARGE") == 65
    with pytest.raises(KeyError):
        flag_tables.PAGE.mask("NO_SUCH_BIT")


def test_the_tables_are_all_there_are() -> None:
    assert {value.name for value in vars(flag_tables).values() if isinstance(value, flag_tables.FlagTable)} == {
        table.name for table in flag_tables.TABLES
    }
    assert flag_tables.known_table("no such table") is None


@pytest.mark.parametrize("table", flag_tables.TABLES, ids=lambda table: table.name)
def test_roles_name_bits_of_the_table(table: FlagTable) -> None:
    numbers = [bit.number for bit in table.bits]
    assert len(set(numbers)) == len(numbers)
    assert {*table.warn, *table.bad} <= {bit.name for bit in table.bits}
    assert known_table(table.name) is table


def test_names_are_those_of_the_bits_set() -> None:
    assert PAGE.names(0) == []
    assert PAGE.names(1 << 11 | 1 << 6) == ["E_TEFF_LARGE", "NO_RESULT"]
    assert PAGE.names(1 << 20) == []


def test_astra_s_v2_table_has_the_page_s_bits_with_other_conditions() -> None:
    pairs = list(zip(PAGE.bits, ASTRA_06_V2.bits, strict=True))
    assert all((a.number, a.name) == (b.number, b.name) for a, b in pairs)
    assert [a.number for a, b in pairs if a.condition != b.condition] == [0, 1, 2, 3, 4, 5, 10]
    assert (ASTRA_06_V2.warn, ASTRA_06_V2.bad) == (PAGE.warn, PAGE.bad)
    assert "not of teff_sample_median" in ASTRA_06_V2.bits[3].condition


def test_text_is_aligned() -> None:
    table = FlagTable(
        name="t",
        source="here",
        bits=(Bit(0, "A", "first", "x > 1"), Bit(10, "LONGER", "second", "y")),
        warn=("A",),
        bad=("A", "LONGER"),
    )
    assert table.text().splitlines() == [
        "result_flags, table t (here)",
        "bit  value  name    in        condition  description",
        "0    1      A       warn+bad  x > 1      first",
        "10   1024   LONGER  bad       y          second",
    ]
