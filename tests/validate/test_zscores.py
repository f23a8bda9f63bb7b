"""In the figure of z-scores, text stands clear of the data."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from apnet_fast.validate.repeats import validate_repeats
from apnet_fast.validate.zscores import draw_z_scores
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
