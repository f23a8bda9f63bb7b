"""Labels of a few files are those of a catalogue, and every spectrum has its result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import apnet_fast
from apnet_fast.api import ApogeeNet
from apnet_fast.catalog.names import PRODUCT_NAMES
from apnet_fast.catalog.sources import SourceTable
from apnet_fast.engines import create_engine
from apnet_fast.networks.checkpoint import SIMULATED
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.v2 import ArchitectureV2
from apnet_fast.predict import stars
from apnet_fast.predict.stars import Found, predict_files
from apnet_fast.recipes import get_recipe, label_names
from apnet_fast.recipes.photometry import PHOTOMETRY_COLUMNS
from apnet_fast.spectra import Product
from apnet_fast.support.errors import UsageError


def of_catalogue(few: Path, weights: Path, output: Path, seed: int) -> dict[str, dict[str, object]]:
    """Rows of both catalogues of a run, by identity."""
    apnet_fast.run_survey(few, weights=weights, output=output, device="cpu", draws=5, seed=seed)
    tables = [pq.read_table(output / f"{name}.parquet") for name in PRODUCT_NAMES.values()]
    return {row["identity"]: row for table in tables for row in table.to_pylist()}


def assert_as_in(found: Found, rows: dict[str, dict[str, object]]) -> None:
    """All label columns of all spectra are those of the catalogues, to the bit."""
    computed = [result for result in found.results if result.has_result]
    assert {result.record.identity for result in computed} == set(rows)
    for result in computed:
        for name in label_names("v3"):
            assert result.labels[name] == rows[result.record.identity][name], (result.number, name)


def test_labels_are_those_of_a_catalogue(found: Found, few: Path, small_weights: Path, tmp_path: Path) -> None:
    assert_as_in(found, of_catalogue(few, small_weights, tmp_path / "same", seed=0))
    with pytest.raises(AssertionError, match=r"\(1, 'teff'\)"):
        assert_as_in(found, of_catalogue(few, small_weights, tmp_path / "other", seed=1))


def test_every_spectrum_has_a_result_in_order(found: Found) -> None:
    kinds = [(result.number, result.record.product, result.has_result) for result in found.results]
    assert kinds == [
        (1, "star", True),
        (2, "visit", True),
        (3, "star", False),
        (4, "visit", False),
        (5, "star", True),
        (6, "visit", True),
    ]
    gone = found.results[2]
    assert gone.flags == ("NO_RESULT",)
    assert str(gone.record.reason) == "missing_file"
    assert np.isnan([gone.labels[name] for name in ("teff", "e_teff", "logg", "fe_h")]).all()
    assert found.counts.spectra == 4


@pytest.mark.parametrize("batch", [1, 3])
def test_batches_change_nothing(
    batch: int, found: Found, net: ApogeeNet, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stars, "_BATCH", batch)
    again = predict_files(net, files, draws=5)
    assert [str(result.labels) for result in again.results] == [str(result.labels) for result in found.results]
    assert again.shown is not None
    assert again.shown.result.number == 1


@pytest.mark.parametrize(("product", "numbers"), [("star", 3), ("visit", 3)])
def test_one_product_can_be_chosen(product: Product, numbers: int, net: ApogeeNet, files: list[Path]) -> None:
    found = predict_files(net, files, products=(product,), draws=2)
    assert [result.record.product for result in found.results] == [product] * numbers


def test_the_spectrum_to_show(found: Found, net: ApogeeNet, files: list[Path]) -> None:
    assert found.shown is not None
    assert found.shown.result.number == 1
    asked = predict_files(net, files, draws=2, show=6)
    assert asked.shown is not None
    assert asked.shown.result.record.product == "visit"
    assert np.isfinite(asked.shown.flux).any()
    for number in (3, 7):
        with pytest.raises(UsageError, match=f"no such spectrum.*got {number}; expected.*1, 2, 5, 6"):
            predict_files(net, files, draws=2, show=number)
    assert predict_files(net, files[1:2], draws=2).shown is None


def test_real_spectra_are_unreliable_with_weights_for_simulated_ones(files: list[Path], net: ApogeeNet) -> None:
    checkpoint = replace(net.engine.checkpoint, trained_on=SIMULATED)
    assert checkpoint.for_simulated_only
    only = ApogeeNet(type(net.engine)(checkpoint, net.recipe, device="cpu", precision="fp32"))
    real = predict_files(only, files[:1], draws=2).results
    assert all("RESULT_UNRELIABLE" not in result.flags for result in real)  # marked as simulated in their headers
    records = [replace(result.record, simulated=False) for result in real]
    assert stars._unreliable(only, records).all()
    assert not stars._unreliable(net, records).any()


def test_photometry_comes_from_the_catalog(files: list[Path]) -> None:
    net = _v2()
    obj = files[0].name.removesuffix(".fits").split("apo25m-")[1]
    columns = {"obj": [obj], **{name: [9.0] for name in PHOTOMETRY_COLUMNS}}
    catalog = SourceTable(pa.table(columns))
    with_it = predict_files(net, [files[0], files[2]], products=("star",), draws=2, catalog=catalog)
    without = predict_files(net, [files[0], files[2]], products=("star",), draws=2)
    missing = [["MISSING_PHOTOMETRY" in result.flags for result in each.results] for each in (with_it, without)]
    assert missing == [[False, True], [True, True]]
    assert with_it.results[0].labels["teff"] != without.results[0].labels["teff"]
    assert with_it.results[1].labels == without.results[1].labels
    assert "teff_sample_median" in with_it.results[0].labels


def _v2() -> ApogeeNet:
    checkpoint = random_checkpoint(1, architecture=ArchitectureV2(linear_dim=8))
    return ApogeeNet(create_engine("auto", checkpoint, get_recipe("dr19", "v2"), device="cpu"))
