"""Draw the sky in Galactic coordinates, as an equal-area Mollweide map centred on the Galactic centre."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apnet_fast.inputs.summary_tables import missing_columns, read_table, table_columns
from apnet_fast.plots.figures import BLUE, VERMILION, new_figure
from apnet_fast.support.errors import UsageError
from apnet_fast.support.galactic import EQUATORIAL_TO_GALACTIC

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_POINTS = 3000
_CELLS_ACROSS = 72
_SQRT2 = float(np.sqrt(2.0))
# At the poles each step halves what is left; elsewhere a few steps suffice.
_NEWTON_STEPS = 30


@dataclass(frozen=True)
class Positions:
    """Galactic longitude and latitude [rad] float64 (n,); labelled: bool (n,), whether the spectrum has labels.

    unknown: number of rows without a position.
    """

    longitude: NDArray[np.float64]
    latitude: NDArray[np.float64]
    labelled: NDArray[np.bool_]
    unknown: int

    def __len__(self) -> int:
        return len(self.longitude)


def read_positions(path: str | Path) -> Positions:
    """Read the positions of a catalogue (FITS or Parquet). Raises UsageError if no row has one."""
    names = ["ra", "dec", "teff"]
    present = table_columns(path)
    if missing := [name for name in names if name not in present]:
        raise missing_columns("the catalogue lacks columns of a sky map", missing, present, path)
    table = read_table(path, names)
    ra, dec, teff = (table[name].to_numpy().astype(np.float64) for name in names)
    known = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90)
    if not known.any():
        raise UsageError("no row has a position", got=f"{len(known)} rows", expected="ra and dec", where=str(path))
    longitude, latitude = galactic(ra[known], dec[known])
    return Positions(longitude, latitude, np.isfinite(teff[known]), int(np.count_nonzero(~known)))


def galactic(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Galactic longitude in (-pi, pi] and latitude [rad] of ICRS positions [deg]."""
    alpha, delta = np.radians(ra), np.radians(dec)
    equatorial = np.stack([np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)])
    x, y, z = EQUATORIAL_TO_GALACTIC @ equatorial
    return np.arctan2(y, x), np.arcsin(np.clip(z, -1, 1))


def mollweide(
    longitude: NDArray[np.float64], latitude: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return map coordinates, |x| <= 2 sqrt 2 and |y| <= sqrt 2, with longitude increasing to the left.

    Solves 2 theta + sin 2 theta = pi sin(latitude) by Newton's method (Snyder 1987, USGS Prof. Paper 1395, p. 251).
    """
    target, theta = np.pi * np.sin(latitude), latitude
    for _ in range(_NEWTON_STEPS):
        slope = np.maximum(2 + 2 * np.cos(2 * theta), 1e-12)
        theta = np.clip(theta - (2 * theta + np.sin(2 * theta) - target) / slope, -np.pi / 2, np.pi / 2)
    return -2 * _SQRT2 / np.pi * longitude * np.cos(theta), _SQRT2 * np.sin(theta)


def draw_sky(positions: Positions, *, narrow: bool = False) -> Figure:
    """Draw each spectrum as a point, or hexagons of equal area coloured by number if there are more than 3,000.

    Spectra without labels are crosses, at most 3,000 of them, evenly chosen. narrow: make a figure for narrow screens.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Ellipse

    x, y = mollweide(positions.longitude, positions.latitude)
    failed = np.flatnonzero(~positions.labelled)
    with new_figure(*((4.1, 2.9) if narrow else (7.4, 4.2))) as figure:
        axes = figure.subplots()
        _draw_graticule(axes, step=60 if narrow else 30)
        if len(positions) > _MOST_POINTS:
            # Hexagons with equal sides: the map is twice as wide as high.
            grid = (_CELLS_ACROSS, round(_CELLS_ACROSS / 2 / np.sqrt(3)))
            extent = (-2 * _SQRT2, 2 * _SQRT2, -_SQRT2, _SQRT2)
            cells = axes.hexbin(x, y, gridsize=grid, extent=extent, mincnt=1, norm=LogNorm(), linewidths=0.1, zorder=2)
            cells.set_clip_path(Ellipse((0, 0), 4 * _SQRT2, 2 * _SQRT2, transform=axes.transData))
            bar = figure.colorbar(cells, ax=axes, orientation="horizontal", pad=0.02, aspect=45, shrink=0.6)
            bar.set_label("spectra per cell")
        else:
            known = positions.labelled
            axes.plot(x[known], y[known], "o", color=BLUE, ms=3.5, mew=0, alpha=0.7, label="with labels", zorder=2)
        if len(failed):
            some = failed[:: -(-len(failed) // _MOST_POINTS)]
            label = f"without labels ({len(failed):,})"
            axes.plot(x[some], y[some], "x", color=VERMILION, ms=4, mew=0.9, label=label, zorder=3)
        if axes.get_legend_handles_labels()[1]:
            figure.legend(loc="outside lower right", ncols=2)
    return figure


def _draw_graticule(axes: Axes, step: int) -> None:
    """Draw the outline of the sky, and named lines every `step` degrees of latitude and 60 of longitude."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.0, foreground="white")]
    fine = np.linspace(-np.pi / 2, np.pi / 2, 181)
    for degrees in range(-60, 61, step):
        x, y = mollweide(np.array([-np.pi, np.pi]), np.radians(np.full(2, float(degrees))))
        axes.plot(x, y, color="0.6" if degrees == 0 else "0.85", linewidth=0.6, zorder=1)
        if degrees:
            text = f"{degrees:+d}°".replace("-", "\N{MINUS SIGN}")
            name = axes.annotate(text, (x[0], y[0]), (3, 0), textcoords="offset points")
            name.set(va="bottom" if degrees > 0 else "top", fontsize=7.5, color="0.3")
    for degrees in range(-180, 181, 60):
        x, y = mollweide(np.full(len(fine), np.radians(degrees)), fine)
        if abs(degrees) == 180:
            axes.plot(x, y, color="0.3", linewidth=0.9, zorder=4)
            continue
        axes.plot(x, y, color="0.85", linewidth=0.6, zorder=1)
        name = axes.annotate(f"{degrees % 360}°", (x[len(fine) // 2], 0.0), (2, -2), textcoords="offset points")
        name.set(va="top", fontsize=7.5, color="0.2", zorder=4, path_effects=halo)
    axes.set_aspect("equal")
    axes.set_axis_off()
