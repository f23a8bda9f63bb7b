"""Draw one spectrum: as observed, as the network sees it, and the labels of its noise realisations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from apnet_fast.plots.figures import BLUE, ORANGE, VERMILION, new_figure
from apnet_fast.plots.symbols import UNITS, axis_label
from apnet_fast.recipes.labels import LABELS
from apnet_fast.support.grid import wavelength

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DECIMALS = {"teff": 0, "logg": 2, "fe_h": 2}
# An axis of flux shows the central part of the pixels; sky lines and bad pixels go beyond it.
_SHOWN_FLUX, _MARGIN = (0.5, 98.0), 0.25


@dataclass(frozen=True)
class StarPicture:
    """What the picture shows.

    name: its title. flux, error: float32 (8575,) [1e-17 erg/s/cm^2/Angstrom], as read. seen: float32 (1 or 2, 8575),
    the network's input of the clean spectrum and of a draw. log_flux: whether that is clipped ln(flux), or the flux.
    clean: (3,), labels of the clean spectrum; draws: (d, 3), of its draws; both as teff [K], logg, fe_h. labels,
    errors: the published ones, by label; NaN errors if there are none. label_is: "median", "mean" or "clean".
    flags: names of the flags that are set.
    """

    name: str
    flux: NDArray[np.float32]
    error: NDArray[np.float32]
    seen: NDArray[np.float32]
    log_flux: bool
    clean: NDArray[np.float64]
    draws: NDArray[np.float64]
    labels: Mapping[str, float]
    errors: Mapping[str, float]
    label_is: str
    flags: Sequence[str]


def draw_star(picture: StarPicture) -> Figure:
    """Draw the spectrum with its errors, the network's input (close, and whole), and the draws of each label.

    Pixels without data (not finite, or flux 0) are left out of the spectrum. The network does see them, as the recipe
    fills them in.
    """
    with new_figure(8.2, 7.8) as figure:
        grid: Any = figure.add_gridspec(4, 3, height_ratios=(1.1, 0.9, 0.5, 1.0))
        observed, close, whole = (figure.add_subplot(grid[row, :]) for row in range(3))
        for axes in (close, whole):
            axes.sharex(observed)
        _draw_observed(observed, picture)
        _draw_seen(close, picture)
        _frame_data(close, picture)
        _draw_seen(whole, picture)
        whole.set_ylabel("all of it", fontsize=8.5)
        whole.set_xlabel("vacuum wavelength at rest  [Å]")
        close.legend(loc="lower left", ncols=2, frameon=True, framealpha=0.85, edgecolor="none")
        for axes in (observed, close):
            axes.tick_params(labelbottom=False)
        panels = [figure.add_subplot(grid[3, column]) for column in range(len(LABELS))]
        for number, (axes, label) in enumerate(zip(panels, LABELS, strict=True)):
            _draw_label(axes, picture, label, number)
        panels[0].set_ylabel("draws per bin")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        flags = ", ".join(picture.flags)
        figure.suptitle(picture.name + (f"\n{flags}" if flags else ""), fontsize=10)
    return figure


def _draw_observed(axes: Axes, picture: StarPicture) -> None:
    known = np.isfinite(picture.flux) & (picture.flux != 0)
    flux = np.where(known, picture.flux, np.nan)
    sigma = np.where(known & np.isfinite(picture.error), np.abs(picture.error), np.nan)
    low, high = np.percentile(flux[known], _SHOWN_FLUX)
    margin = _MARGIN * max(high - low, 1e-6 * abs(high))
    with np.errstate(over="ignore"):  # bad pixels of some releases have errors of 1e10 x flux
        axes.fill_between(
            wavelength(), flux - sigma, flux + sigma, color=ORANGE, alpha=0.45, linewidth=0, label="1-sigma error"
        )
    axes.plot(wavelength(), flux, color="0.15", linewidth=0.45, label="flux")
    axes.set_xlim(wavelength()[0], wavelength()[-1])
    axes.set_ylim(low - margin, high + margin)
    axes.set_ylabel("flux  [$10^{-17}$ erg s$^{-1}$ cm$^{-2}$ Å$^{-1}$]", fontsize=8.5)
    axes.legend(loc="upper right", ncols=2, frameon=True, framealpha=0.85, edgecolor="none")


def _draw_seen(axes: Axes, picture: StarPicture) -> None:
    """Draw the network's input; a draw lies behind the clean spectrum."""
    for row, (colour, name) in reversed(list(enumerate(((BLUE, "clean"), ("0.72", "one draw"))))):
        if row < len(picture.seen):
            axes.plot(wavelength(), picture.seen[row], color=colour, linewidth=0.45, label=name)


def _frame_data(axes: Axes, picture: StarPicture) -> None:
    """Set the range of an axis by the pixels with data: in the gaps a logarithm falls to the floor."""
    known = np.isfinite(picture.flux) & (picture.flux != 0) & np.isfinite(picture.seen[0])
    if known.any():
        # Clipping makes the highest log flux a plateau, which is shown.
        low, high = np.percentile(picture.seen[0][known], (_SHOWN_FLUX[0], 100 if picture.log_flux else _SHOWN_FLUX[1]))
        margin = _MARGIN * max(high - low, 1e-3)
        axes.set_ylim(low - margin, high + margin / 2)
    axes.set_ylabel("the network sees\n" + ("clipped ln(flux)" if picture.log_flux else "flux"), fontsize=8.5)


def _draw_label(axes: Axes, picture: StarPicture, label: str, number: int) -> None:
    draws = picture.draws[:, number]
    draws = draws[np.isfinite(draws)]
    value, error = picture.labels[label], picture.errors[label]
    if len(draws) > 1:
        axes.hist(draws, bins=max(5, round(2 * len(draws) ** (1 / 3))), color="0.8", label="draws")
        axes.plot(draws, np.full(len(draws), 0.015), "|", color="0.35", ms=7, transform=axes.get_xaxis_transform())
    if np.isfinite(error):
        axes.axvspan(value - error, value + error, color=BLUE, alpha=0.12, linewidth=0, label="published error")
    axes.axvline(value, color=BLUE, linewidth=1.5, label=f"label ({picture.label_is})")
    axes.axvline(picture.clean[number], color=VERMILION, linewidth=1.2, linestyle=":", label="clean spectrum")
    digits = _DECIMALS[label]
    error_words = f" ± {error:.{digits}f}" if np.isfinite(error) else ""
    axes.set_title(f"{value:.{digits}f}{error_words} {UNITS[label]}", fontsize=9)
    axes.set_xlabel(axis_label(label))
    axes.locator_params(axis="x", nbins=5)
