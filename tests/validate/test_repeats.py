"""`validate repeats`: injected inflation is recovered, and a wrong noise model is reported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from apnet_fast.recipes.named import PAGE_NOISE_MODEL
from apnet_fast.support.errors import UsageError
from apnet_fast.validate.repeats import RepeatsReport, published_model, validate_repeats
from tests.validate.catalogues import changed, visit_table, written


def report(tmp_path: Path, seed: int, **how: object) -> RepeatsReport:
    return validate_repeats(written(visit_table(seed, **how), tmp_path / "visits.parquet"), bootstrap=100)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(4))
def test_simulated_repeats_recover_the_page(seed: int, tmp_path: Path) -> None:
    found = report(tmp_path, seed)
    expected = ((1.25, 10.0), (1.25, 0.01), (1.0, 0.01))
    for result, (scale, offset) in zip(found.labels, expected, strict=True):
        assert result.published == (scale, offset)
        assert abs(result.scale.value - scale) < 3.5 * result.scale.error
        assert abs(result.offset.value - offset) < 3.5 * result.offset.error
        assert abs(result.inflated.scatter.value - 1) < 3.5 * result.inflated.scatter.error < 0.1
        assert result.raw.scatter.value > 1.2
        assert result.inflated.beyond_3 == pytest.approx(0.0027, abs=0.0025)
        assert sum(result.inflated.density) * 0.1 == pytest.approx(1, abs=1e-3)
    assert found.off_by_more_than(1.1) == []


def test_another_inflation_is_reported_by_label(tmp_path: Path) -> None:
    found = report(tmp_path, 1, scale=(1.25, 2.5, 1.0), offset=(10.0, 0.02, 0.005))
    assert found.off_by_more_than(1.25) == ["logg"]
    assert found.labels[1].inflated.scatter.value == pytest.approx(2, rel=0.05)
    assert found.labels[1].comparisons[1].ratio.value == pytest.approx(2, rel=0.05)
    assert found.off_by_more_than(2.5) == []


def test_errors_that_are_too_large_are_off_too(tmp_path: Path) -> None:
    found = report(tmp_path, 1, scale=(0.6, 1.25, 1.0), offset=(5.0, 0.01, 0.01))
    assert found.off_by_more_than(1.25) == ["teff"]


@pytest.mark.parametrize("stars", [3, 10, 30])
def test_few_stars_prove_nothing(stars: int, tmp_path: Path) -> None:
    """Right errors and wrong ones are both left alone, and the scatter of z has an error that says why."""
    for seed in range(6):
        table = visit_table(seed, stars=stars, scale=(3.0, 1.25, 1.0))
        if np.unique(table["obj"].to_pylist(), return_counts=True)[1].max() < 2:
            continue
        found = validate_repeats(written(table, tmp_path / "v.parquet"), bootstrap=50)
        assert found.stars < 30
        assert found.not_judged == ["teff", "logg", "fe_h"]
        assert found.off_by_more_than(1.0) == []
        assert "too few stars to judge teff, logg, fe_h" in found.text()
        for result in found.labels:
            assert not result.scale.value <= 0
            freedom = found.spectra - found.stars
            assert result.inflated.scatter.error >= result.inflated.scatter.value / np.sqrt(2 * freedom)


@pytest.mark.slow
def test_right_errors_are_seldom_called_wrong(tmp_path: Path) -> None:
    """Sixty catalogues of about 40 stars with right errors: one in twenty may fail, for all three labels together."""
    alarms = judged = 0
    for seed in range(60):
        found = validate_repeats(written(visit_table(1000 + seed, stars=52), tmp_path / "v.parquet"), bootstrap=40)
        judged += not found.not_judged
        alarms += bool(found.off_by_more_than(1.25))
    assert judged > 50
    assert alarms <= 3


def test_a_catalogue_twice_says_what_it_says_once(tmp_path: Path) -> None:
    table = visit_table(2, stars=200)
    once, twice = (
        validate_repeats(written(each, tmp_path / "v.parquet"), bootstrap=20)
        for each in (table, pa.concat_tables([table, table]))
    )
    assert twice.copies == len(table)
    assert f"{len(table)} rows left out: copies of selected spectra" in twice.text()
    assert twice.as_dict()["copies"] == len(table)
    assert "copies" not in once.text()
    assert replace(twice, rows=once.rows, copies=0) == once
    # Without identities copies cannot be recognised.
    released = pa.concat_tables([table, table]).drop_columns(["identity"])
    assert validate_repeats(written(released, tmp_path / "r.parquet"), bootstrap=20).copies == 0


@pytest.mark.parametrize("factor", [1.6, 1 / 1.6])
def test_errors_off_by_a_factor_are_caught_with_400_stars(factor: float, tmp_path: Path) -> None:
    scale, offset = (
        tuple(factor * value for value in values) for values in (PAGE_NOISE_MODEL.scale, PAGE_NOISE_MODEL.offset)
    )
    for seed in range(5):
        found = validate_repeats(
            written(visit_table(seed, stars=500, scale=scale, offset=offset), tmp_path / "v.parquet"), bootstrap=100
        )
        assert 370 < found.stars < 430
        assert found.off_by_more_than(1.25) == ["teff", "logg", "fe_h"]


@pytest.mark.parametrize(
    ("stars", "slope", "at_zero", "not_judged"), [(60, 0.0, 60.0, ["teff"]), (1500, -0.25, 80.0, [])]
)
def test_a_fit_with_a_scale_below_zero_is_no_fit(
    stars: int, slope: float, at_zero: float, not_judged: list[str], tmp_path: Path
) -> None:
    """Noise that shrinks where formal errors grow is not a noise model; only where that is certain is it judged."""
    found = report(tmp_path, 5, stars=stars, scale=(slope, 1.25, 1.0), offset=(at_zero, 0.01, 0.01))
    teff = found.labels[0]
    assert np.isnan([teff.scale.value, teff.offset.value, teff.correlation]).all()
    assert found.not_judged == not_judged
    assert teff.comparisons[1].ratio == teff.inflated.scatter


def test_the_model_a_catalogue_applied_is_read_off_its_columns() -> None:
    raw = np.linspace(0.01, 0.3, 50).astype(np.float32).astype(np.float64)
    assert published_model(raw, np.float32(1.5 * raw + 0.01).astype(float), "logg", "x") == (1.5, 0.01)
    assert published_model(raw, raw, "logg", "x") == (1.0, 0.0)
    assert published_model(np.ones(3), np.full(3, 1.25), "logg", "x") == (1.25, 0.0)
    mixed = np.where(np.arange(50) % 2, 1.25, 1.0) * raw + 0.01
    with pytest.raises(UsageError, match="is not linear in raw_e_logg"):
        published_model(raw, mixed, "logg", "x")


def test_equal_errors_are_judged_by_the_scatter(tmp_path: Path) -> None:
    table = visit_table(2)
    constant = {"raw_e_teff": np.full(len(table), 1e-3), "e_teff": np.full(len(table), 10.0)}
    found = validate_repeats(written(changed(table, **constant), tmp_path / "v.parquet"), bootstrap=20)
    assert np.isnan(found.labels[0].scale.value)
    assert found.labels[0].comparisons[0].ratio == found.labels[0].inflated.scatter
    assert found.off_by_more_than(2) == ["teff"]
    json.loads(json.dumps(found.as_dict(), allow_nan=False))
