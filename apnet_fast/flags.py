"""Print every table of result flags: `python -m apnet_fast.flags`."""

from __future__ import annotations

from apnet_fast.recipes.flag_tables import TABLES


def print_tables() -> None:
    """Print every table of bits."""
    print("\n\n".join(table.text() for table in TABLES))


if __name__ == "__main__":
    print_tables()
