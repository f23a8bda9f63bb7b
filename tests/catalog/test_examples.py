"""The examples of docs/products.md run as they stand, and find the rows that are not flagged."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from apnet_fast.catalog.fits import text_widths
from apnet_fast.catalog.products import write_product
from apnet_fast.spectra.batch import Product
from tests.catalog.samples import CREATED, mixed_records, table

PAGE = (Path(__file__).parents[2] / "docs" / "products.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
STEMS: dict[Product, str] = {"star": "astraAllStarAPOGEENet-0.1.0", "visit": "astraAllVisitAPOGEENet-0.1.0"}


def library(example: str) -> str:
    """The first module that is imported and not pyarrow, whose examples come with others'."""
    modules = re.findall(r"^(?:import|from) (\w+)", example, re.MULTILINE)
    return next((name for name in modules if name != "pyarrow"), "pyarrow")


LIBRARIES = [library(example) for example in EXAMPLES]


@pytest.fixture
def good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Names and teff of the stars that are not flagged, in products in the current folder."""
    monkeypatch.chdir(tmp_path)
    for product, stem in STEMS.items():
        rows = table(product, mixed_records(40))
        widths = text_widths(rows)
        write_product(tmp_path, stem, product, [rows], widths, network="v3", recipe="dr19", cards=[], created=CREATED)
    stars = pq.read_table(f"{STEMS['star']}.parquet").to_pylist()
    found = {star["obj"]: star["teff"] for star in stars if not star["flag_bad"]}
    assert 0 < len(found) < len(stars)
    return found


def test_every_program_has_an_example() -> None:
    assert sorted(set(LIBRARIES)) == ["astropy", "duckdb", "fitsio", "hats_import", "pandas", "polars", "pyarrow"]
    assert len(COMMANDS) == 1
    assert "stilts" in COMMANDS[0]


@pytest.mark.parametrize(
    "example",
    [pytest.param(text, id=name) for text, name in zip(EXAMPLES, LIBRARIES, strict=True) if "hats" not in name],
)
def test_examples_in_python(example: str, good: dict[str, float]) -> None:
    pytest.importorskip(library(example))
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(example, "docs/products.md", "exec", dont_inherit=True), names)
    rows = names["good"]
    texts = [text.decode() if isinstance(text, bytes) else str(text) for text in np.asarray(rows["obj"]).tolist()]
    assert dict(zip(map(str.strip, texts), np.asarray(rows["teff"]).tolist(), strict=True)) == good


def test_the_example_for_astropy_shows_what_a_column_is(
    good: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("astropy")
    exec(next(example for example in EXAMPLES if "include_names" in example), {})
    assert capsys.readouterr().out.strip() == "dex(cm / s2) Surface gravity phys.gravity;meta.main"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("stilts") is None, reason="STILTS is not installed")
def test_the_command_for_stilts(good: dict[str, float]) -> None:
    subprocess.run(["sh", "-ec", COMMANDS[0]], check=True, timeout=300)
    with open("good.csv", newline="", encoding="utf-8") as file:
        assert {row["obj"]: float(row["teff"]) for row in csv.DictReader(file)} == good
    # Descriptions and UCDs are seen, too.
    command = ["stilts", "tpipe", f"in={STEMS['star']}.fits#2", "cmd=meta name units ucd description", "ofmt=csv"]
    done = subprocess.run(command, check=True, timeout=300, capture_output=True, text=True)
    assert "e_teff,K,stat.error;phys.temperature.effective,Error on stellar effective temperature" in done.stdout


@pytest.mark.slow
def test_the_script_for_hats(good: dict[str, float], tmp_path: Path) -> None:
    pytest.importorskip("hats_import")
    lsdb = pytest.importorskip("lsdb")
    (tmp_path / "script.py").write_text(EXAMPLES[LIBRARIES.index("hats_import")], encoding="utf-8")
    subprocess.run([sys.executable, "script.py"], check=True, timeout=600, capture_output=True)
    stars = pq.read_table(f"{STEMS['star']}.parquet").to_pandas()
    found = lsdb.open_catalog("apogeenet").compute()
    assert dict(zip(found["obj"], found["teff"], strict=True)) == dict(zip(stars["obj"], stars["teff"], strict=True))
    one = stars.iloc[3]
    near = lsdb.open_catalog("apogeenet").cone_search(one["ra"], one["dec"], radius_arcsec=10).compute()
    assert near["obj"].tolist() == [one["obj"]]
