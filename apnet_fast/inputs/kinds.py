"""Decide once what an INPUT word is."""

from __future__ import annotations

import os
from enum import StrEnum

import fitsio

from apnet_fast.spectra.failures import ReadFailure
from apnet_fast.spectra.identity import parse_file_name
from apnet_fast.spectra.mwm import has_mwm_tables
from apnet_fast.spectra.opening import LIBRARY_ERRORS, opened
from apnet_fast.spectra.pack import is_pack, is_unfinished_pack


class InputKind(StrEnum):
    """What a word names, in words for messages."""

    LIST = "a list"
    PACK = "a pack"
    UNFINISHED_PACK = "an unfinished pack"
    FOLDER = "a folder"
    TABLE = "a summary table"
    SPECTRA = "a file of spectra"
    OTHER = "a file of another kind"
    NOTHING = "nothing"


def classify(word: str) -> InputKind:
    """Return what an INPUT word names; a file is opened at most once.

    A name that ends in .fits counts as a file of spectra even if there is no such file.
    """
    if word.startswith("@"):
        return InputKind.LIST
    if os.path.isdir(word):
        if is_pack(word):
            return InputKind.PACK
        return InputKind.UNFINISHED_PACK if is_unfinished_pack(word) else InputKind.FOLDER
    if is_table(word):
        return InputKind.TABLE
    if word.endswith(".fits"):
        return InputKind.SPECTRA
    return InputKind.OTHER if os.path.lexists(word) else InputKind.NOTHING


def is_table(path: str) -> bool:
    """Return whether a file is a summary table, judged by its content; False for what cannot be read.

    Tables are Parquet files, and FITS files whose HDU 1 is a binary table (an apStar file has an image there) unless
    they hold spectra as mwmStar files do. For files packed with gzip the name decides, because they are slow to open.
    """
    if path.endswith(".fits.gz"):
        return not parse_file_name(path.removesuffix(".gz")).standard
    try:
        with opened(path) as file:
            if file.read(4) == b"PAR1":
                return True
            with fitsio.FITS(f"/dev/fd/{file.fileno()}") as fits:
                if len(fits) < 2 or not isinstance(fits[1], fitsio.hdu.TableHDU):
                    return False
    except (ReadFailure, *LIBRARY_ERRORS):
        return False
    return not has_mwm_tables(path)
