"""Read HDU 9, the RV table: what the velocity fit found for each visit, with the S/N that allVisit has.

DR17 and SDSS-V have one row per visit, with the name of the visit's file. Older files have one row of vectors, which
repeats their cards and has no S/N; it is not read. Writers: apogee 0.17, python/apogee/utils/apload.py, and apogee_drp,
python/apogee_drp/utils/apspec.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from apnet_fast.spectra.extension import CARD, form_bytes, parse_extension, unquoted

NAME = "filename"
# Columns that are used, by our name, and what the writers call them.
_COLUMNS: Mapping[str, Sequence[str]] = {
    NAME: ("filename",),
    "snr": ("snr",),
    "vhelio": ("vhelio", "vheliobary", "vrad"),
    "vrel": ("vrel",),
    "vrelerr": ("vrelerr",),
    "teff": ("teff",),
    "tefferr": ("tefferr",),
    "logg": ("logg",),
    "loggerr": ("loggerr",),
    "feh": ("feh",),
    "feherr": ("feherr",),
    "chisq": ("chisq",),
    "bc": ("bc",),
    "xcorr_vrel": ("xcorr_vrel",),
    "xcorr_vrelerr": ("xcorr_vrelerr",),
    "xcorr_vhelio": ("xcorr_vhelio", "xcorr_vheliobary", "xcorr_vrad"),
    "ccpfwhm": ("ccpfwhm",),
    "autofwhm": ("autofwhm",),
}
_FORM = re.compile(r"(\d*)([LXBIJKAEDCM]) *")
_NUMPY = {"I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
_CARD = re.compile(r"(TTYPE|TFORM)(\d+) *= +('(?:[^']|'')*')")

Fits = Mapping[str, Mapping[str, float]]
"""Rows of the table by the visit's file name."""


def visit_fits(header: bytes, read: Callable[[NDArray[np.uint8], int], bool], offset: int) -> Fits:
    """Read the rows of an RV table in an open file.

    Parameters
    ----------
    header: of the HDU, whole blocks. read: fill a buffer from a place in the file; False if the file ends before.
    offset: where the rows begin.

    Returns
    -------
    Columns of the table by visit file, float64. Empty if the table is of another form. A visit that is there twice is
    left out: which row is meant is unknown.
    """
    layout = _layout(header)
    if layout is None:
        return {}
    dtype, n_rows = layout
    # Nothing behind the last column in use is read.
    used = max(dtype.fields[name][1] + dtype.fields[name][0].itemsize for name in dtype.names or ())  # type: ignore[index]
    buffer = np.empty(n_rows * dtype.itemsize, np.uint8)
    if not read(buffer[: buffer.size - dtype.itemsize + used], offset):
        return {}
    fits: dict[str, Mapping[str, float]] = {}
    repeated = set()
    for row in buffer.view(dtype).tolist():
        values = dict(zip(dtype.names or (), row, strict=True))
        file = values.pop(NAME).rstrip(b" \0").rpartition(b"/")[2].decode("ascii", "replace")
        if file in fits:
            repeated.add(file)
        fits[file] = values
    for file in repeated:
        del fits[file]
    return fits


@lru_cache(maxsize=256)
def _layout(header: bytes) -> tuple[np.dtype, int] | None:
    """Return the columns in use, as a dtype of whole rows, and the number of rows; None without an S/N per visit."""
    hdu = parse_extension(header)
    if hdu is None or hdu.is_image or not hdu.axes or hdu.axes[1] == 0:
        return None
    cards: dict[tuple[str, int], str] = {}
    for start in range(0, len(header), CARD):
        if match := _CARD.match(header[start : start + CARD].decode("ascii")):
            cards[match[1], int(match[2])] = unquoted(match[3])
    found, start = {}, 0
    for number in range(1, 1000):
        form = _FORM.fullmatch(cards.get(("TFORM", number), ""))
        if form is None:
            break
        count, kind = int(form[1] or 1), form[2]
        name = cards.get(("TTYPE", number), "").lower()
        if kind == "A" and count:
            found[name] = (f"S{count}", start)
        elif count == 1 and kind in _NUMPY:
            found[name] = (_NUMPY[kind], start)
        start += form_bytes(kind, count)
    columns = {ours: next((name for name in names if name in found), None) for ours, names in _COLUMNS.items()}
    if columns[NAME] is None or columns["snr"] is None:
        return None
    used = {ours: found[name] for ours, name in columns.items() if name is not None}
    if any((kind[0] == "S") != (ours == NAME) for ours, (kind, _) in used.items()):
        return None
    dtype = np.dtype(
        {
            "names": list(used),
            "formats": [kind for kind, _ in used.values()],
            "offsets": [place for _, place in used.values()],
            "itemsize": hdu.axes[0],
        }
    )
    return dtype, hdu.axes[1]
