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
from apnet_fast.plots.figures import VERMILION, VERMILION_TEXT, new_figure
from apnet_fast.plots.frame import Frame, frame_of
from apnet_fast.plots.isochrones import Isochrone
from apnet_fast.recipes.labels import LABELS
from apnet_fast.support.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import Collection
    from matplotlib.figure import Figure

Style = Literal["auto", "points", "cells", "density"]
STYLES: tuple[Style, ...] = ("auto", "points", "cells", "density")

_MOST_POINTS = 20_000
_MOST_FLAGGED = 20_000
_FEW_FLAGGED = 500
_CELLS_ACROSS = 90
_MOST_NAMED_LINES = 6
_LINE_STYLES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
# A linear axis of Teff beyond this ratio of its ends would crowd the cool stars.
_WIDEST_LINEAR = 2.5
_KELVINS = (2000, 2500, 3000, 3500, 4000, 5000, 6000, 7000, 8000, 10_000, 15_000, 20_000, 30_000, 50_000, 100_000)


@dataclass(frozen=True)
class Stars:
    """The stars of a diagram: teff [K], logg and fe_h float32 (n,); bad: bool (n,), whether flag_bad is set."""

    teff: NDArray[np.float32]
    logg: NDArray[np.float32]
    fe_h: NDArray[np.float32]
    bad: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.teff)


@dataclass(frozen=True)
class _Frames:
    """Both axes of a diagram. x: Teff, log10 of it if log_teff."""

    x: Frame
    logg: Frame
    log_teff: bool


def read_stars(path: str | Path) -> Stars:
    """Read the rows of a catalogue (FITS or Parquet) with finite labels. Raises UsageError if there are none."""
    names = [*LABELS, "flag_bad"]
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
    log_teff: bool | None = None,
    isochrones: Sequence[Isochrone] = (),
    title: str = "",
) -> Figure:
    """Draw the diagram.

    style: "points" draws one point per star; "cells" draws hexagons coloured by median [Fe/H], fainter if they hold few
    stars; "density" draws hexagons coloured by number of stars; "auto" draws points for up to 20,000 stars, else cells.
    log_teff: whether the axis shows log10 Teff; by default it does if the range of Teff needs it.

    Stars with flag_bad are grey and below the others (at most 20,000, evenly chosen). The frame is that of the others,
    widened for flagged stars as far as the others stay readable. Triangles at its edge mark stars beyond it, and a line
    in its corner counts them.
    """
    if style == "auto":
        style = "points" if len(stars) - int(stars.bad.sum()) <= _MOST_POINTS else "cells"
    frames = _frames(stars, log_teff)
    x = _x(stars.teff, frames.log_teff)
    good = ~stars.bad
    with new_figure(4.7, 4.3) as figure:
        axes = figure.subplots()
        axes.set_xlim(frames.x.high, frames.x.low)
        axes.set_ylim(frames.logg.high, frames.logg.low)
        _draw_flagged(axes, x[stars.bad], stars.logg[stars.bad])
        if good.any():
            drawn = _draw_good(axes, style, x[good], stars.logg[good], stars.fe_h[good])
            bar = figure.colorbar(drawn, ax=axes, pad=0.02, aspect=28)
            bar.set_label("stars per cell" if style == "density" else "[Fe/H]  [dex]")
        _draw_isochrones(axes, isochrones, frames.log_teff)
        _mark_outside(axes, frames, x, stars.logg)
        _name_axes(axes, frames)
        if title:
            axes.set_title(title, fontsize=9)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(
                loc="upper left", handlelength=1.8, markerscale=1.5, frameon=True, framealpha=0.85, edgecolor="none"
            )
    return figure


def _x(teff: NDArray[np.float32], log_teff: bool) -> NDArray[np.float64]:
    return np.log10(teff.astype(np.float64)) if log_teff else teff.astype(np.float64)


def _frames(stars: Stars, log_teff: bool | None) -> _Frames:
    """Return the axes around the unflagged stars, or around all if every star is flagged."""
    core = ~stars.bad if not stars.bad.all() else stars.bad
    candidates = {
        log: frame_of(_x(stars.teff[core], log), _x(stars.teff, log), 0.005 if log else 60.0) for log in (False, True)
    }
    if log_teff is None:
        linear = candidates[False]
        log_teff = linear.high > _WIDEST_LINEAR * max(linear.low, 1.0) or candidates[True].outside < linear.outside
    return _Frames(candidates[log_teff], frame_of(stars.logg[core], stars.logg, 0.1), log_teff)


def _name_axes(axes: Axes, frames: _Frames) -> None:
    axes.set_ylabel(r"$\log\,g$  [$\log_{10}\,(\mathrm{cm\,s^{-2}})$]")
    if not frames.log_teff:
        axes.set_xlabel(r"$T_\mathrm{eff}$  [K]")
        return
    axes.set_xlabel(r"$\log_{10}\,(T_\mathrm{eff}\,/\,\mathrm{K})$")
    # The upper edge has the same temperatures in K, as many as fit side by side.
    low, high = frames.x.low, frames.x.high
    shown = [kelvin for kelvin in _KELVINS if low < math.log10(kelvin) < high]
    spaced: list[int] = []
    for kelvin in reversed(shown):
        if not spaced or math.log10(spaced[-1] / kelvin) > 0.1 * (high - low):
            spaced.append(kelvin)
    axes.tick_params(axis="x", which="both", top=False)
    upper = axes.secondary_xaxis("top")
    upper.set_xticks([math.log10(kelvin) for kelvin in spaced], [f"{kelvin:,}" for kelvin in spaced])
    upper.minorticks_off()
    upper.tick_params(labelsize=7.5, pad=1.5)
    upper.set_xlabel(r"$T_\mathrm{eff}$  [K]", fontsize=8, labelpad=3)


def _mark_outside(axes: Axes, frames: _Frames, x: NDArray[np.float64], logg: NDArray[np.float32]) -> None:
    """Mark stars beyond the frame at its edge, and count them in its lower left corner, which is otherwise empty."""
    counts = (
        (frames.x.above, "hotter"),
        (frames.x.below, "cooler"),
        (frames.logg.above, r"at higher $\log\,g$"),
        (frames.logg.below, r"at lower $\log\,g$"),
    )
    words = [f"{count:,} {side}" for count, side in counts if count]
    if not words:
        return
    for beyond, edge, marker in ((x > frames.x.high, frames.x.high, "<"), (x < frames.x.low, frames.x.low, ">")):
        _triangles(axes, np.full(len(x), edge), np.clip(logg, frames.logg.low, frames.logg.high), beyond, marker)
    across = (x >= frames.x.low) & (x <= frames.x.high)
    for beyond, edge, marker in (
        (across & (logg > frames.logg.high), frames.logg.high, "v"),
        (across & (logg < frames.logg.low), frames.logg.low, "^"),
    ):
        _triangles(axes, x, np.full(len(x), edge), beyond, marker)
    text = axes.annotate(
        "beyond the frame: " + ",\n".join(", ".join(words[first : first + 2]) for first in range(0, len(words), 2)),
        (0.0, 0.0),
        (8, 5),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="left",
        va="bottom",
        fontsize=7.5,
        color=VERMILION_TEXT,
        bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 1.5},
        zorder=5,
    )
    # A long text must not make the axes smaller.
    text.set_in_layout(False)


def _triangles(axes: Axes, x: NDArray, y: NDArray, chosen: NDArray[np.bool_], marker: str) -> None:
    rows = np.flatnonzero(chosen)[:_MOST_FLAGGED]
    if len(rows):
        axes.plot(x[rows], y[rows], marker, color=VERMILION, ms=4, mew=0, clip_on=False, rasterized=True, zorder=4)


def _draw_flagged(axes: Axes, x: NDArray[np.float64], logg: NDArray[np.float32]) -> None:
    if len(x):
        some = slice(None, None, math.ceil(len(x) / _MOST_FLAGGED))
        size = 9.0 if len(x) <= _FEW_FLAGGED else 2.0
        label = f"flag_bad ({len(x):,})"
        axes.scatter(x[some], logg[some], s=size, c="0.68", linewidths=0, rasterized=True, label=label, zorder=1)


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
