"""Cards of finished catalogues."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from apnet_fast.catalog.fits import text_widths
from apnet_fast.catalog.products import write_product
from apnet_fast.catalog.reading import catalogue_cards
from apnet_fast.spectra.batch import Product
from tests.catalog.samples import CREATED, mixed_records, table


@pytest.mark.parametrize("suffix", [".fits", ".parquet"])
def test_cards_of_both_forms_of_a_product_are_read(suffix: str, product: Product, tmp_path: Path) -> None:
    rows = table(product, mixed_records(3))
    cards = [("RECIPE", "dr19", "what"), ("DRAWS", 20, "")]
    widths = text_widths(rows)
    write_product(tmp_path, "p", product, [rows], widths, network="v3", recipe="dr19", cards=cards, created=CREATED)
    found = catalogue_cards(tmp_path / f"p{suffix}")
    assert {name: found[name] for name in ("RECIPE", "DRAWS")} == {"RECIPE": "dr19", "DRAWS": "20"}
    assert found["CREATED"] == "26-03-04 05:06:07"


@pytest.mark.parametrize("name", ["gone.fits", "gone.parquet", "text.fits", "text.parquet"])
def test_what_is_no_catalogue_has_no_cards(name: str, tmp_path: Path) -> None:
    for text in ("text.fits", "text.parquet"):
        (tmp_path / text).write_text("text")
    assert catalogue_cards(tmp_path / name) == {}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["a.fits", "a.parquet"])
def test_what_is_no_file_has_no_cards_and_is_not_waited_for(
    name: str, put_no_file: Callable[[Path], None], tmp_path: Path
) -> None:
    put_no_file(tmp_path / name)
    assert catalogue_cards(tmp_path / name) == {}
