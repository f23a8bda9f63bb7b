"""In the figure of z-scores, text stands clear of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from apnet_fast.validate.repeats import Estimate, ZScores, validate_repeats
from apnet_fast.validate.zscores import draw_z_scores, z_density
from tests.validate.catalogues import visit_table, written


@pytest.mark.parametrize("stars", [8, 300])
def test_text_stands_above_the_panels_and_apart(stars: int, tmp_path: Path) -> None:
    report = validate_repeats(written(visit_table(1, stars=stars), tmp_path / "v.parquet"), bootstrap=10)
    figure = draw_z_scores(report)
    figure.canvas.draw()
    for axes, result in zip(figure.axes, report.labels, strict=True):
        shown = {text.get_text() for text in axes.texts}
        assert {result.raw.scatter.text(3), result.inflated.scatter.text(3)} <= shown
        boxes = [text.get_window_extent() for text in (*axes.texts, axes.title)]
        assert all(box.y0 >= axes.bbox.y1 for box in boxes)
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
        assert all(box.x0 >= 0 for box in boxes)


@pytest.mark.parametrize(("pairs", "width"), [(10, 1.0), (330, 0.4), (5000, 0.2), (10**6, 0.1)])
def test_bins_fit_the_number_of_pairs(pairs: int, width: float) -> None:
    rng = np.random.default_rng(0)
    density = np.histogram(np.abs(rng.standard_normal(100_000)), bins=60, range=(0, 6), density=True)[0]
    edges, found = z_density(ZScores(Estimate(1.0, 0.1), 0.0, tuple(density.tolist())), pairs)
    np.testing.assert_allclose(np.diff(edges), width)
    assert (edges[0], edges[-1]) == pytest.approx((-6, 6))
    assert (found * np.diff(edges)).sum() == pytest.approx(1, abs=1e-3)
    np.testing.assert_array_equal(found, found[::-1])
