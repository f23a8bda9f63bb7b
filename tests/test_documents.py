"""Pages of docs/ that are generated: what is committed is what the code gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from apnet_fast.catalog.columns import COLUMNS
from apnet_fast.documents import columns_page, flags_page
from apnet_fast.recipes import flag_tables
from apnet_fast.spectra import Reason
from apnet_fast.spectra.batch import Product

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize(("name", "page"), [("columns", columns_page()), ("flags", flags_page())])
def test_page_is_up_to_date(name: str, page: str) -> None:
    committed = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert committed == page + "\n", f"python -m apnet_fast.documents {name} > docs/{name}.md"


@pytest.mark.parametrize("product", ["star", "visit"])
def test_page_has_every_column(product: Product) -> None:
    page = columns_page()
    assert all(f"| `{column.name}` |" in page for column in COLUMNS[product])


def test_page_has_every_bit_with_its_condition() -> None:
    page = flags_page()
    for table in flag_tables.TABLES:
        assert f"## Table `{table.name}`" in page
        for bit in table.bits:
            assert f"| {bit.number} | {1 << bit.number} | `{bit.name}` |" in page
            assert bit.condition in page


def test_every_reason_of_the_quarantine_is_told() -> None:
    page = (DOCS / "products.md").read_text(encoding="utf-8")
    table = page.split("## quarantine.parquet")[1].split("## Reading")[0]
    told = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert told[1:] == [str(reason) for reason in Reason]
