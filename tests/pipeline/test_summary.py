"""Summaries add up what markers count."""

from __future__ import annotations

from apnet_fast.pipeline.shards import Marker, Part
from apnet_fast.pipeline.summary import summary_of
from apnet_fast.recipes.flux import FluxCounts


def marker(stars: int, visits: int, reasons: dict[str, int], incomplete: int) -> Marker:
    parts = {"star": Part("", 9, stars, {}), "visit": Part("", 9, visits, {}), "quarantine": Part("", 9, 0, {})}
    return Marker("run", parts, reasons, incomplete, FluxCounts(stars + visits, incomplete, 1), worthless=stars)


def test_rows_and_failures_of_all_shards() -> None:
    summary = summary_of(
        [marker(2, 5, {"no_data": 1}, 3), marker(1, 4, {"no_data": 2, "truncated": 1}, 0)], ["star", "visit"]
    )
    assert summary.rows == {"star": 3, "visit": 9}
    assert summary.reasons == {"no_data": 3, "truncated": 1}
    assert (summary.failures, summary.results, summary.incomplete_photometry) == (4, 8, 3)
    assert summary.flux == FluxCounts(12, 3, 2)
    assert summary.worthless == 3
    assert summary_of([marker(2, 5, {}, 0)], ["visit"]).rows == {"visit": 5}
