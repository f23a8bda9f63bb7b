"""Say in words what is set in values of result_flags."""

from __future__ import annotations

from apnet_fast.recipes.flag_tables import TABLES, FlagTable, known_table
from apnet_fast.support.errors import UsageError


def table_of(name: str) -> FlagTable:
    """Return a table by its name. Raises UsageError if there is none."""
    table = known_table(name)
    if table is None:
        raise UsageError("no such table of flags", got=repr(name), expected=" | ".join(each.name for each in TABLES))
    return table


def number_of(value: str) -> int:
    """Return a value of result_flags, written in decimal, hexadecimal (0x...) or binary (0b...).

    Raises UsageError for words that are not such a number, and for negative numbers.
    """
    try:
        number = int(value, 0)
    except ValueError:
        number = -1
    if number < 0:
        raise UsageError(
            "this is not a value of result_flags", got=repr(value), expected="a number, such as 2080 or 0x820"
        )
    return number


def value_text(value: int, tables: tuple[FlagTable, ...] = TABLES) -> str:
    """Say which bits of a value are set, by each of the tables that has them all.

    If none has them all, say it by every table, and name the bits that it lacks.
    """
    numbers = [number for number in range(value.bit_length()) if value >> number & 1]
    head = f"{value} = {' + '.join(str(1 << number) for number in numbers)}" if len(numbers) > 1 else str(value)
    if not numbers:
        return f"{head}: no bit is set"
    complete = [table for table in tables if set(numbers) <= {bit.number for bit in table.bits}]
    return "\n".join([head, *(line for table in complete or tables for line in _lines(value, numbers, table))])


def _lines(value: int, numbers: list[int], table: FlagTable) -> list[str]:
    bits = {bit.number: bit for bit in table.bits}
    names = table.names(value)
    roles = [
        role for role, members in (("flag_warn", table.warn), ("flag_bad", table.bad)) if set(members) & set(names)
    ]
    width = max((len(name) for name in names), default=0)
    lines = [f"table {table.name} ({table.source}): {' and '.join(roles) or 'neither flag_warn nor flag_bad'}"]
    for number in numbers:
        if number in bits:
            bit = bits[number]
            lines.append(f"  bit {number:2}  {bit.name:{width}}  {bit.description}. Set if: {bit.condition}")
        else:
            lines.append(f"  bit {number:2}  not a bit of this table")
    return lines
