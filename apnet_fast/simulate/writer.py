"""Write one apStar file."""

from __future__ import annotations

from pathlib import Path

import fitsio
import numpy as np

from apnet_fast.simulate.header_cards import HeaderCard, Summary, image_cards
from apnet_fast.simulate.layouts import Layout
from apnet_fast.simulate.rows import Planes
from apnet_fast.simulate.rv_table import coadd_table, visit_table
from apnet_fast.support.files import written_whole

LEGACY_LSF_COEFFICIENTS = np.array(
    [
        *(1.0, 4287.0, 5.0),  # width of a bin, x offset, highest Hermite order
        *(1.0, 1.0, 1.0, 1.0, 1.0, 0.0),  # polynomial orders
        *(1.37, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),  # sigma, then no Hermite terms
        *(1.0, 2.0, 0.0, 0.0, 0.01, 0.05),  # wings
    ]
)
"""HDU 8 of the legacy layout: 26 Gauss-Hermite parameters, here of a Gaussian of R = 22,500."""


def write_apstar(path: Path, summary: Summary, planes: Planes, cards: list[HeaderCard]) -> None:
    """Write `planes` and `cards` to `path` as the layout's pipeline would; an existing file is replaced.

    The file appears complete or not at all. The folder must exist. It holds no creation date, so equal arguments give
    equal bytes.
    """
    layout = summary.layout
    with written_whole(path) as partial, fitsio.FITS(str(partial), "rw") as file:
        _create_empty_image(file, layout.primary_bitpix_dtype)
        file[0].write_keys(_records(cards))
        for number, (image, unit) in enumerate(zip(planes.images(), layout.units, strict=True)):
            data = image[0] if layout.name == "legacy" and len(image) == 1 else image
            file.write(data, header=_records(image_cards(layout, unit)), extname=layout.extension_names[number])
        _write_lsf(file, layout)
        file.write(visit_table(summary), extname=layout.extension_names[8])
        if layout.name == "dr17":
            file.write(coadd_table(summary))


def _write_lsf(file: fitsio.FITS, layout: Layout) -> None:
    """Write HDU 8: coefficients (legacy), an empty image (dr17) or an empty table (sdss5)."""
    if layout.name == "legacy":
        unit = [HeaderCard("CTYPE1", "Parameters"), HeaderCard("BUNIT", "LSF Coefficients")]
        file.write(LEGACY_LSF_COEFFICIENTS, header=_records(unit))
    elif layout.name == "dr17":
        _create_empty_image(file, layout.primary_bitpix_dtype)
    else:
        file.create_table_hdu(names=[], formats=[], extname=layout.extension_names[7])


def _create_empty_image(file: fitsio.FITS, dtype: np.dtype[np.integer]) -> None:
    """Append an HDU with NAXIS = 0. fitsio's `write(None)` can neither choose BITPIX nor write beyond HDU 0."""
    file.create_image_hdu(dims=[], dtype=dtype)


def _records(cards: list[HeaderCard]) -> list[dict[str, str | int | float]]:
    return [{"name": card.name, "value": card.value, "comment": card.comment} for card in cards]
