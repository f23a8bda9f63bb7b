"""`python -m apnet_fast.flags`: the tables, and what is set in a value."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from apnet_fast.flags import app
from apnet_fast.recipes import flag_tables
from apnet_fast.support.errors import UsageError


def flags(*words: str) -> str:
    """What the command prints."""
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_the_tables_print_themselves() -> None:
    said = flags()
    for table in flag_tables.TABLES:
        for bit in table.bits:
            assert bit.name in said
            assert bit.condition in said


def test_a_value_is_said_in_words() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "apnet_fast.flags", "2080"], capture_output=True, text=True, check=True, timeout=120
    )
    first, page, *bits = done.stdout.splitlines()
    assert first == "2080 = 32 + 2048"
    assert page.startswith("table page (")
    assert page.endswith(": flag_bad")
    assert bits[0].split()[:3] == ["bit", "5", "E_FE_H_UNRELIABLE"]
    assert "Error on metallicity is unreliable. Set if: raw_e_fe_h NaN" in bits[0]
    assert bits[1].split()[:3] == ["bit", "11", "NO_RESULT"]
    # The other table that has these bits, and no third one.
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("table")] == [
        "page",
        "astra-0.6-v2",
    ]


def test_one_table_can_be_chosen_and_its_strange_bits_are_named() -> None:
    assert "RUNTIME_EXCEPTION" in flags("1", "--table", "astra-0.6")
    assert "TEFF_UNRELIABLE" not in flags("1", "--table", "astra-0.6").split()
    assert "bit 13  not a bit of this table" in flags("0x2001", "--table", "page")
    assert flags("0") == "0: no bit is set\n"


def test_an_unknown_table_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"no such table of flags; got 'dr19'; expected page \| astra-0.6"):
        CliRunner().invoke(app, ["1", "--table", "dr19"], catch_exceptions=False)
