"""Count how flags changed between two catalogues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apnet_fast.recipes.flag_tables import known_table


@dataclass(frozen=True)
class Transition:
    """Number of rows in which a flag is set in both catalogues, in A only, in B only, and in neither."""

    flag: str
    both: int
    only_a: int
    only_b: int
    neither: int


def flag_table_name(cards: Mapping[str, str]) -> str:
    """Return the name of the flag table that a catalogue uses; empty if its cards do not name one."""
    if name := cards.get("FLAGTAB"):
        return name
    # The released files name no table; they use Astra's.
    if not cards.get("V_ASTRA", "").startswith("0.6"):
        return ""
    return "astra-0.6-v2" if cards.get("PIPELINE") == "ApogeeNetV2" else "astra-0.6"


def flag_transitions(
    a: Mapping[str, NDArray], b: Mapping[str, NDArray], table_a: str, table_b: str
) -> tuple[list[Transition], str]:
    """Count the transitions of flag_warn, flag_bad and, if the flag tables do not differ, every bit of result_flags.

    a, b: these columns of the common rows. table_a, table_b: names of the flag tables, empty if unknown. Bits are named
    only if both catalogues use the same, known table; the returned note explains any other case.
    """
    masks = ("flag_warn", "flag_bad")
    out = [_transition(name, a[name].astype(bool), b[name].astype(bool)) for name in masks]
    if table_a and table_b and table_a != table_b:
        note = f"Bits of result_flags differ in meaning: table {table_a} in A, {table_b} in B; they are not compared."
        return out, note
    table = known_table(table_a) if table_a == table_b else None
    names = {bit.number: bit.name for bit in table.bits} if table else {}
    set_a, set_b = (columns["result_flags"].astype(np.int64) for columns in (a, b))
    seen = int(np.bitwise_or.reduce(set_a | set_b, initial=0))
    for bit in range(63):
        if bit in names or seen >> bit & 1:
            name = f"{bit} {names[bit]}" if bit in names else f"bit {bit}"
            out.append(_transition(name, (set_a >> bit & 1).astype(bool), (set_b >> bit & 1).astype(bool)))
    return out, "" if table else _unnamed(table_a, table_b)


def _unnamed(a: str, b: str) -> str:
    """Explain why bits are listed by number only."""
    if a and b:
        return f"Bits of result_flags are listed by number: this package does not know their table {a}."
    if not a and not b:
        return "Bits of result_flags are listed by number: neither catalogue names its table."
    silent, other, name = ("A", "B", b) if b else ("B", "A", a)
    return f"Bits of result_flags are listed by number: {other} uses table {name}, and {silent} names none."


def _transition(flag: str, a: NDArray[np.bool_], b: NDArray[np.bool_]) -> Transition:
    counts = [int(np.count_nonzero(rows)) for rows in (a & b, a & ~b, ~a & b, ~a & ~b)]
    return Transition(flag, *counts)
