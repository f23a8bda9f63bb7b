"""Small apStar files of every generation, written with fitsio, and a second way to read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import fitsio
import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike, NDArray

from apnet_fast.spectra.batch import Product
from apnet_fast.support.grid import PIXELS

PRODUCTS: list[tuple[Product, ...]] = [("star", "visit"), ("star",), ("visit",)]
NAME = "apStar-r5-2M19245882+4714573.fits"

Value = str | int | float


def star_cards(n_visits: int) -> dict[str, Value]:
    """PRIMARY cards of a star; every visit's values differ from the others' and from the coadd's."""
    cards: dict[str, Value] = {"OBJID": "2M19245882+4714573", "NVISITS": n_visits, "SNR": 423.5}
    cards |= {"RA": 291.25, "DEC": -47.5, "TELESCOP": "apo25m", "FIELD": "K05_080+14"}
    for visit in range(1, n_visits + 1):
        cards[f"SFILE{visit}"] = visit_file(visit)
        cards[f"SNRVIS{visit}"] = 100.0 + visit
        cards[f"FIBER{visit}"] = 10 + visit
    return cards


def visit_file(visit: int) -> str:
    """Name of the file that `star_cards` gives for a visit, 1, 2, ..."""
    return f"apVisit-r5-6098-{56400 + visit}-{10 + visit:03d}.fits"


def distinct_rows(rows: int, dtype: str = "f4") -> tuple[NDArray, NDArray]:
    """Flux and error (rows, 8575), positive, no value twice."""
    values = np.random.default_rng(rows).permutation(2 * rows * PIXELS).reshape(2, rows, PIXELS) + 1.0
    return values[0].astype(dtype), values[1].astype(dtype)


def write_apstar(
    path: Path,
    flux: ArrayLike | None,
    error: ArrayLike | None,
    cards: Mapping[str, Value] | None = None,
    last_hdu: int = 9,
) -> Path:
    """Write HDUs 0 to `last_hdu`: flux and error as they are (None: a table instead), small ones behind them."""
    with fitsio.FITS(str(path), "rw", clobber=True) as file:
        file.write(None, header=dict(star_cards(3) if cards is None else cards))
        table = np.zeros(2, dtype=[("JD", "f8"), ("CCF", "f4", (20,))])
        filler = np.arange(30, dtype="f4").reshape(2, 15)
        images = [table if image is None else np.asarray(image) for image in (flux, error)]
        for image in [*images, *[filler] * 6, table, table][:last_hdu]:
            file.write(image)
    return path


def by_astropy(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Flux and error of all rows as astropy reads them: float32 (rows, 8575)."""
    with fits.open(path, memmap=False) as hdus, np.errstate(over="ignore"):
        flux, error = (np.atleast_2d(hdus[hdu].data).astype(np.float32) for hdu in (1, 2))
    return flux, error


@dataclass(frozen=True)
class Form:
    """How a generation lays out a star.

    shape: of flux and error on disk. visit_rows: rows that hold the visits. code: puts the generation's marks of
    missing pixels into flux and error (rows, 8575).
    """

    dtype: str
    shape: tuple[int, ...]
    visit_rows: tuple[int, ...]
    code: Callable[[NDArray, NDArray], None]

    def write(self, path: Path) -> Path:
        """Write a star of this form."""
        flux, error = distinct_rows(self.shape[0] if len(self.shape) == 2 else 1, self.dtype)
        self.code(flux, error)
        flux, error = flux.reshape(self.shape), error.reshape(self.shape)
        return write_apstar(path, flux, error, star_cards(len(self.visit_rows)))


def _legacy(flux: NDArray, error: NDArray) -> None:
    flux[:, :200], error[:, :200] = 0, 1e10


def _dr17(flux: NDArray, error: NDArray) -> None:
    flux[:2, :200], error[:2, :200] = np.nan, np.nan
    flux[2:, :200], error[2:, :200] = 0, 0
    error[:, 300:310] = 1e13


def _dr17_single(flux: NDArray, error: NDArray) -> None:
    _dr17(flux, error)
    flux[1], error[1] = 0, 0


def _sdss5(flux: NDArray, error: NDArray) -> None:
    flux[:2, :200], error[:2, :200] = np.nan, 0
    flux[2:, :200], error[2:, :200] = 0, 0


FORMS = {
    "legacy, three visits": Form("f4", (5, PIXELS), (2, 3, 4), _legacy),
    "legacy, one visit": Form("f4", (PIXELS,), (0,), _legacy),
    "dr17, two visits": Form("f8", (4, PIXELS), (2, 3), _dr17),
    "dr17, one visit and a row of zeros": Form("f8", (2, PIXELS), (0,), _dr17_single),
    "sdss5, two visits": Form("f8", (4, PIXELS), (2, 3), _sdss5),
    "sdss5, one visit": Form("f8", (1, PIXELS), (0,), _sdss5),
}
