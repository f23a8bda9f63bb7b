"""Draw the Kiel diagram: effective temperature against surface gravity, both inverted, coloured by metallicity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from apnet_fast.inputs.summary_tables import missing_columns, read_table, table_columns
from apnet_fast.plots.figures import new_figure
from apnet_fast.plots.isochrones import Isochrone
from apnet_fast.support.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import Collection
    from matplotlib.figure import Figure

Style = Literal["auto", "points", "cells", "density"]
STYLES: tuple[Style, ...] = ("auto", "points", "cells", "density")

_MOST_POINTS = 20_000
_MOST_FLAGGED = 20_000
_CELLS_ACROSS = 110
_MOST_NAMED_LINES = 6
_LINE_STYLES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))


@dataclass(frozen=True)
class Stars:
    """The stars of a diagram: teff [K], logg and fe_h float32 (n,); bad: bool (n,), whether flag_bad is set."""

    teff: NDArray[np.float32]
    logg: NDArray[np.float32]
    fe_h: NDArray[np.float32]
    bad: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.teff)


def read_stars(path: str | Path) -> Stars:
    """Read the rows of a catalogue (FITS or Parquet) with finite labels. Raises UsageError if there are none."""
    names = ["teff", "logg", "fe_h", "flag_bad"]
    present = table_columns(path)
    if missing := [name for name in names if name not in present]:
        raise missing_columns("the catalogue lacks columns of a Kiel diagram", missing, present, path)
    table = read_table(path, names)
    teff, logg, fe_h, bad = (table[name].to_numpy() for name in names)
    known = np.isfinite(teff) & np.isfinite(logg) & np.isfinite(fe_h) & (teff > 0)
    if not known.any():
        raise UsageError("no row has labels", got=f"{len(known)} rows", expected="a catalogue", where=str(path))
    return Stars(teff[known], logg[known], fe_h[known], bad[known].astype(bool))


def draw_kiel(
    stars: Stars,
    *,
    style: Style = "auto",
    log_teff: bool = False,
    isochrones: Sequence[Isochrone] = (),
    title: str = "",
) -> Figure:
    """Draw the diagram.

    style: "points" draws one point per star; "cells" draws hexagons coloured by median [Fe/H], fainter if they hold few
    stars; "density" draws hexagons coloured by number of stars; "auto" draws points for up to 20,000 stars, else cells.
    Stars with flag_bad are grey points below the others (at most 20,000, evenly chosen) and do not set the limits.
    """
    if style == "auto":
        style = "points" if len(stars) - int(stars.bad.sum()) <= _MOST_POINTS else "cells"
    x = np.log10(stars.teff.astype(np.float64)) if log_teff else stars.teff.astype(np.float64)
    good = ~stars.bad
    with new_figure(5.0, 4.4) as figure:
        axes = figure.subplots()
        _limit(axes, *((x[good], stars.logg[good]) if good.any() else (x, stars.logg)))
        _draw_flagged(axes, x[stars.bad], stars.logg[stars.bad])
        if good.any():
            drawn = _draw_good(axes, style, x[good], stars.logg[good], stars.fe_h[good])
            bar = figure.colorbar(drawn, ax=axes, pad=0.02, aspect=28)
            bar.set_label("stars per cell" if style == "density" else "[Fe/H]  [dex]")
        _draw_isochrones(axes, isochrones, log_teff)
        axes.set_xlabel(r"$\log_{10}\,(T_\mathrm{eff}\,/\,\mathrm{K})$" if log_teff else r"$T_\mathrm{eff}$  [K]")
        axes.set_ylabel(r"$\log\,g$  [$\log_{10}\,(\mathrm{cm\,s^{-2}})$]")
        if title:
            axes.set_title(title, fontsize=9)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(
                loc="upper left", handlelength=2.2, markerscale=2.5, frameon=True, framealpha=0.85, edgecolor="none"
            )
    return figure


def _limit(axes: Axes, x: NDArray[np.float64], logg: NDArray[np.float32]) -> None:
    """Invert both axes and fit them to all but the outermost stars."""
    for values, set_limits, least in ((x, axes.set_xlim, 1e-3), (logg, axes.set_ylim, 0.5)):
        low, high = np.percentile(values, (0.05, 99.95))
        margin = max(0.06 * (high - low), least)
        set_limits(high + margin, low - margin)


def _draw_flagged(axes: Axes, x: NDArray[np.float64], logg: NDArray[np.float32]) -> None:
    if len(x):
        some = slice(None, None, math.ceil(len(x) / _MOST_FLAGGED))
        label = f"flag_bad ({len(x)})"
        axes.scatter(x[some], logg[some], s=2, c="0.83", linewidths=0, rasterized=True, label=label, zorder=1)


def _draw_good(
    axes: Axes, style: Style, x: NDArray[np.float64], logg: NDArray[np.float32], fe_h: NDArray[np.float32]
) -> Collection:
    from matplotlib.colors import LogNorm, Normalize

    low, high = np.percentile(fe_h, (2, 98))
    norm = Normalize(low, max(high, low + 0.05))
    if style == "points":
        size = float(np.clip(6000 / len(x), 2.0, 14.0))
        # Metal-poor stars are few, so they are drawn last, on top.
        order = np.argsort(-fe_h, kind="stable")
        x, logg, fe_h = x[order], logg[order], fe_h[order]
        return axes.scatter(x, logg, c=fe_h, s=size, norm=norm, cmap="viridis", linewidths=0, rasterized=True, zorder=2)
    (right, left), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    grid = {"gridsize": _CELLS_ACROSS, "extent": (left, right, top, bottom), "linewidths": 0.1, "zorder": 2}
    if style == "density":
        cells = axes.hexbin(x, logg, mincnt=1, cmap="cividis", norm=LogNorm(), **grid)  # type: ignore[arg-type]
    else:
        counts = axes.hexbin(x, logg, mincnt=1, **grid)  # type: ignore[arg-type]
        number = np.asarray(counts.get_array(), dtype=np.float64)
        counts.remove()
        cells = axes.hexbin(
            x,
            logg,
            C=fe_h,
            reduce_C_function=np.median,
            cmap="viridis",
            norm=norm,
            **grid,  # type: ignore[arg-type]
        )
        shade = np.log(number) / np.log(max(number.max(), 2.0))
        cells.set_alpha(0.35 + 0.65 * shade)
    cells.set_rasterized(True)
    # hexbin resets the limits to its extent, which would undo the inversion of the axes.
    axes.set_xlim(right, left)
    axes.set_ylim(bottom, top)
    return cells


def _draw_isochrones(axes: Axes, isochrones: Sequence[Isochrone], log_teff: bool) -> None:
    named = len(isochrones) <= _MOST_NAMED_LINES
    for number, line in enumerate(isochrones):
        x = np.log10(line.teff) if log_teff else line.teff
        words = [] if math.isnan(line.log_age) else [f"log age {line.log_age:.2f}"]
        words += [] if math.isnan(line.m_h) else [f"[M/H] {line.m_h:+.2f}"]
        axes.plot(
            x,
            line.logg,
            color="0.15",
            linewidth=0.8,
            linestyle=_LINE_STYLES[number % len(_LINE_STYLES)] if named else "-",
            label=", ".join(words) if named else None,
            scalex=False,
            scaley=False,
            zorder=3,
        )
