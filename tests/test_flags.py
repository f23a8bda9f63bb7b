"""`apnet_fast.flags` on the command line."""

from __future__ import annotations

import subprocess
import sys

from apnet_fast.recipes import flag_tables


def test_the_table_prints_itself() -> None:
    done = subprocess.run([sys.executable, "-m", "apnet_fast.flags"], capture_output=True, text=True, check=True)
    for table in flag_tables.TABLES:
        for bit in table.bits:
            assert bit.name in done.stdout
            assert bit.condition in done.stdout
