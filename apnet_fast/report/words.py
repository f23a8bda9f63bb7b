"""Write numbers and captions of the report in one way, and draw its figures in two widths."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from apnet_fast.plots.figures import figure_bytes
from apnet_fast.report.page import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {"star": "Stars (coadds)", "visit": "Visits"}
_WIDE, _NARROW = 980, 520
_DECIMALS = {"teff": 1, "logg": 3, "fe_h": 3}


def count(value: int) -> str:
    """Return a number of things, with commas between thousands."""
    return f"{value:,}"


def number(value: float, label: str = "") -> str:
    """Return a measured value: with the decimals of a label or with four digits, and a dash if it is unknown."""
    if not math.isfinite(value):
        return "\N{EN DASH}"
    text = f"{value:.{_DECIMALS[label]}f}" if label else f"{value:.4g}"
    return text.replace("-", "\N{MINUS SIGN}", 1) if text.startswith("-") else text


def share(part: int, whole: int) -> str:
    """Return a part of a whole in per cent, never rounding a few to none."""
    return percent(part / whole) if whole else "\N{EN DASH}"


def percent(part: float) -> str:
    """Return a share in per cent, with one decimal or, if that would be 0.0, two digits; a dash for NaN."""
    if not math.isfinite(part):
        return "\N{EN DASH}"
    return f"{100 * part:.1f} %" if part == 0 or part >= 0.0005 else f"{100 * part:.2g} %"


def picture_of(draw: Callable[[int], Figure], alt: str, caption: str) -> Picture:
    """Draw a figure for wide and for narrow screens: with three panels in a row, and with one."""
    return Picture(figure_bytes(draw(3), "svg"), alt, caption, _WIDE, figure_bytes(draw(1), "svg"))


def small_picture(figure: Figure, alt: str, caption: str) -> Picture:
    """Draw a figure of one panel that any screen has room for."""
    return Picture(figure_bytes(figure, "svg"), alt, caption, _NARROW)
