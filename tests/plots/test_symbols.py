"""Axes name labels with their units."""

from __future__ import annotations

from apnet_fast.plots.symbols import SYMBOLS, axis_label
from apnet_fast.recipes.labels import LABELS


def test_every_label_has_a_symbol_and_a_unit() -> None:
    assert tuple(SYMBOLS) == LABELS
    assert axis_label("fe_h", "error of {}") == "error of [Fe/H]  [dex]"
    assert axis_label("teff").endswith("[K]")
