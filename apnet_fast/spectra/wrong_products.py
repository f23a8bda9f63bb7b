"""Name what a file is, if it is not an apStar file: other products of the survey, other surveys, or not FITS.

People give these by mistake, and "HDU 1 has shape (3, 4096)" helps none of them. Source of the products' names and
forms: SDSS data model, DR10 to DR19, and the public files of LAMOST, GALAH and DESI.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import BinaryIO

import fitsio

from apnet_fast.spectra.fits_library import library_fits
from apnet_fast.spectra.header import PrimaryHeader
from apnet_fast.spectra.opening import LIBRARY_ERRORS
from apnet_fast.support.grid import PIXELS

_NAMES = (
    (re.compile(r"aspcapStar"), "an aspcapStar file"),
    (re.compile(r"(ap|as)StarLSF-"), "an apStarLSF file"),
    (re.compile(r"(ap|as)Visit-"), "an apVisit file"),
    (re.compile(r"(ap|as)VisitSum-"), "an apVisitSum table"),
    (re.compile(r"(ap|as)Field(Visits)?-"), "an apField table"),
    (re.compile(r"(ap|as)(1D|2D|R|Plate|Cframe)-"), "an exposure or plate file of the reduction"),
    (re.compile(r"allStar"), "an allStar table"),
    (re.compile(r"allVisit"), "an allVisit table"),
    (re.compile(r"(mwmAll|astraAll)"), "a summary table of Astra"),
    (re.compile(r"spec-\d+-\d+-"), "an optical SDSS spectrum"),
    (re.compile(r"apMADGICS|ar(1D|Star|Visit|MADGICS)"), "a product of apMADGICS"),
)
_WAVELENGTHS = {"wavelength", "wave", "loglam", "lambda", "lam", "wl"}
_APSTAR = "give the apStar"
_TABLE = "give it as --catalog, or by itself as an INPUT with --root"

# What is not FITS, by how it begins.
_STARTS = (
    (
        re.compile(rb"\s*<(!doctype html|html|head|\?xml)", re.I),
        "a web page or XML: the download failed; fetch it again",
    ),
    (re.compile(rb"version https://git-lfs"), "a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"),
    (re.compile(rb"PK\x03\x04"), "a zip archive; unpack it"),
    (re.compile(rb"\x89HDF"), "an HDF5 file; give the apStar"),
    (re.compile(rb"SQLite|%PDF|\x89PNG|\xff\xd8\xff"), "a document or picture; give the apStar"),
    (re.compile(rb"BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|\x1f\x9d"), "compressed by something other than gzip; unpack it"),
    (re.compile(rb"\s*[{\[]"), "JSON or text: the download may have failed; fetch it again"),
)


def by_name(name: str) -> str:
    """Return what a file is by the survey's names, and what to give instead; "" for any other name."""
    for form, what in _NAMES:
        if form.match(name):
            return _said(what, _TABLE if "table" in what else _APSTAR)
    return ""


def spectrum_in_table(name: str, columns: Collection[str]) -> str:
    """Return what a table file is, if it is a spectrum kept as a table; "" if not.

    name: of the file. columns: of its table, in lower case.
    """
    if (what := by_name(name)) and _TABLE not in what:
        return what
    if {"loglam", "flux", "ivar"} <= set(columns):
        return _said("an optical SDSS spectrum", _APSTAR)
    if "flux" in columns and set(columns) & _WAVELENGTHS:
        some = ", ".join(sorted(columns)[:5])
        return _said(f"a spectrum of another survey (a table with the columns {some})", _APSTAR)
    return ""


def by_start(start: bytes) -> str:
    """Return what a file is that is not a FITS file, by its first bytes; "" if that is unknown."""
    return next((f"this is {what}" for form, what in _STARTS if form.match(start)), "")


def by_content(file: BinaryIO, header: PrimaryHeader) -> str:
    """Return what an open FITS file is, if it is a known product other than apStar; "" if it is not."""
    if any(card in header for card in ("FERRE", "SPECLIB", "ASPCAPV", "ASPCAP_V")):
        return _said("an aspcapStar file", _APSTAR)
    try:
        with library_fits(file) as fits:
            return _of_hdus(fits, header)
    except LIBRARY_ERRORS:
        return ""


def _of_hdus(fits: fitsio.FITS, header: PrimaryHeader) -> str:
    shapes = [_shape(fits, hdu) for hdu in range(min(len(fits), 5))]
    columns = [_columns(fits, hdu) for hdu in range(min(len(fits), 5))]
    if any({"fparam", "param_m_h", "aspcapflag"} & names for names in columns[1:]):
        if shapes[1:2] == [(PIXELS,)]:
            return _said("an aspcapStar file", _APSTAR)
        return _said("an allStar table", _TABLE)
    if shapes[1:2] in ([(3, 4096)], [(3, 2048)]):
        return _said("an apVisit file", _APSTAR)
    if len(columns) > 1 and columns[1]:
        return _of_table(columns[1])
    form = f"its primary HDU holds data of shape {shapes[0]}" if shapes[0] else ""
    if shapes[0][-1:] == (PIXELS,):
        return f"{form}; an apStar file has flux in HDU 1, error in HDU 2, and no data in the primary HDU"
    if origin := _origin(header):
        return f"this is a spectrum or image of another survey ({', '.join(filter(None, (origin, form)))}); {_APSTAR}"
    return f"this is no apStar file: {form}; {_APSTAR}" if form else ""


def _of_table(names: frozenset[str]) -> str:
    tests: tuple[tuple[Callable[[], bool], str, str], ...] = (
        (lambda: {"loglam", "flux", "ivar"} <= names, "an optical SDSS spectrum", _APSTAR),
        (lambda: "apogee_id" in names and bool({"visit_id", "vrel", "fiberid"} & names), "an allVisit table", _TABLE),
        (lambda: "apogee_id" in names, "an allStar table", _TABLE),
        (lambda: {"sdss_id", "spectrum_pk"} <= names, "a summary table of Astra", _TABLE),
    )
    for test, what, instead in tests:
        if test():
            return _said(what, instead)
    some = ", ".join(sorted(names)[:5])
    return f"this is a table (HDU 1 has the columns {some}, ...), not a spectrum; {_APSTAR}"


def _origin(header: PrimaryHeader) -> str:
    """Return where a file that is not APOGEE's says it comes from."""
    for card in ("SURVEY", "ORIGIN", "TELESCOP", "INSTRUME"):
        text = header.text(card)
        if text and not re.match(r"apogee|apo|lco|sdss|mwm", text, re.I):
            return f"{card} = {text!r}"
    return ""


def _shape(fits: fitsio.FITS, hdu: int) -> tuple[int, ...]:
    if not isinstance(fits[hdu], fitsio.hdu.ImageHDU):
        return ()
    return tuple(int(size) for size in fits[hdu].get_dims() or ())


def _columns(fits: fitsio.FITS, hdu: int) -> frozenset[str]:
    if not isinstance(fits[hdu], fitsio.hdu.TableHDU):
        return frozenset()
    return frozenset(name.lower() for name in fits[hdu].get_colnames())


def _said(what: str, instead: str) -> str:
    return f"this is {what}; {instead}"
