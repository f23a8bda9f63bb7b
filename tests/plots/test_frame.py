"""Axes show outliers, or count them, and keep most of their room for the bulk."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.plots.frame import frame_of

BULK = np.linspace(4000.0, 6000.0, 1000)


def test_near_outliers_are_shown_and_far_ones_counted() -> None:
    frame = frame_of(BULK, np.concatenate([BULK, [6500.0, 6800.0, 30_000.0, 100.0]]), 10.0)
    assert frame.low < 4000 < 6800 < frame.high < 8000
    assert (frame.below, frame.above, frame.outside) == (1, 1, 2)


def test_the_side_with_more_outliers_is_shown() -> None:
    hot = np.full(18, 7100.0)
    frame = frame_of(BULK, np.concatenate([BULK, hot, [2900.0]]), 10.0)
    assert frame.high > 7100
    assert (frame.below, frame.above) == (1, 0)
    # The twin: with more cool ones it is the other side.
    frame = frame_of(BULK, np.concatenate([BULK, hot, np.full(40, 2900.0)]), 10.0)
    assert frame.low < 2900
    assert (frame.below, frame.above) == (0, 18)


@pytest.mark.parametrize("factor", [1.0, 1e3])
def test_the_bulk_keeps_its_share(factor: float) -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([BULK, 5000 + factor * rng.standard_normal(300)])
    frame = frame_of(BULK, values, 10.0)
    assert (np.percentile(BULK, 99) - np.percentile(BULK, 1)) / (frame.high - frame.low) > 0.5
    assert frame.outside == np.count_nonzero((values < frame.low) | (values > frame.high))


def test_one_value_has_a_frame() -> None:
    frame = frame_of(np.array([5.0]), np.array([5.0, 5.0]), 0.1)
    assert frame.low < 5 < frame.high
    assert frame.outside == 0
