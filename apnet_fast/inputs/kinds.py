"""Decide once what an INPUT word is."""

from __future__ import annotations

import os
import stat
import time
import zlib
from enum import StrEnum
from typing import BinaryIO

from apnet_fast.spectra.failures import PASSING, ReadFailure, Reason
from apnet_fast.spectra.fits_hdus import DamagedFits, Hdu, scan_hdus, unpacked
from apnet_fast.spectra.identity import FITS_SUFFIXES, parse_file_name
from apnet_fast.spectra.mwm import is_mwm_name
from apnet_fast.spectra.opening import opened, system_failure
from apnet_fast.spectra.pack import is_pack, is_unfinished_pack
from apnet_fast.support.errors import UsageError

_PARQUET_MAGIC = b"PAR1"
# Seconds to wait before each further look at what could not be read for a passing reason.
_PAUSES = (0.1, 0.5)
# Astra's files of one star's spectra have APOGEE tables in HDU 3 and 4, with these columns.
_MWM_HDUS, _MWM_COLUMNS = (3, 4), {"flux", "ivar"}


class InputKind(StrEnum):
    """What a word names, in words for messages."""

    LIST = "a list"
    PACK = "a pack"
    UNFINISHED_PACK = "an unfinished pack"
    FOLDER = "a folder"
    TABLE = "a summary table"
    SPECTRA = "a file of spectra"
    OTHER = "a file of another kind"
    NO_FILE = "not a regular file"
    NOTHING = "nothing"


def classify(word: str) -> InputKind:
    """Return what an INPUT word names; a file is opened, and only if it is a regular file.

    A name that ends as a FITS file's does counts as a file of spectra even if there is no such file. If the file system
    fails, or the file is just being written, the name must tell, because a table is not one spectrum. Raises UsageError
    if it does not, after two further tries within a second.
    """
    if word.startswith("@"):
        return InputKind.LIST
    for pause in (*_PAUSES, None):
        try:
            return _kind_of(word)
        except ReadFailure as failure:
            if parse_file_name(word).standard or is_mwm_name(os.path.basename(word)):
                return InputKind.SPECTRA
            if pause is None:
                raise UsageError(
                    f"it cannot be told what this input is: {failure.text}",
                    got=word,
                    expected="a file or folder that can be read",
                    remedy="give the same command again",
                ) from failure
            time.sleep(pause)
    raise AssertionError  # the last try returns or raises


def _kind_of(word: str) -> InputKind:
    """Return what a word other than a list names. Raises ReadFailure for what may be otherwise the next time."""
    kind = _kind_on_disk(word)
    if kind is InputKind.FOLDER:
        if is_pack(word):
            return InputKind.PACK
        return InputKind.UNFINISHED_PACK if is_unfinished_pack(word) else InputKind.FOLDER
    if kind is InputKind.SPECTRA:
        if _holds_table(word):
            return InputKind.TABLE
        return InputKind.SPECTRA if word.endswith(FITS_SUFFIXES) else InputKind.OTHER
    if kind is InputKind.NOTHING and word.endswith(FITS_SUFFIXES):
        return InputKind.SPECTRA
    return kind


def _kind_on_disk(path: str) -> InputKind:
    """Return FOLDER, SPECTRA for any regular file, NO_FILE for other objects, or NOTHING."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        failure = system_failure(error)
        if failure.reason in PASSING:
            raise failure from error
        return InputKind.NOTHING
    except ValueError:  # a path with a zero byte
        return InputKind.NOTHING
    if stat.S_ISDIR(mode):
        return InputKind.FOLDER
    return InputKind.SPECTRA if stat.S_ISREG(mode) else InputKind.NO_FILE


def is_table(path: str) -> bool:
    """Return whether a regular file is a table and no spectrum, judged by its content; False if it cannot be read.

    Tables are Parquet files, and FITS files whose HDU 1 is a table (an apStar file has an image there), unless they
    hold spectra as mwmStar files do.
    """
    try:
        return _holds_table(path)
    except ReadFailure:
        return False


def _holds_table(path: str) -> bool:
    """Return what `is_table` does, but raise ReadFailure for what may be otherwise the next time."""
    if is_mwm_name(os.path.basename(path)):
        return False
    try:
        with opened(path) as file:
            return file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC or _holds_a_table(file)
    except ReadFailure as failure:
        if failure.reason in PASSING - {Reason.MISSING_FILE}:
            raise
        return False
    except (DamagedFits, OSError, EOFError, zlib.error):
        return False


def _holds_a_table(file: BinaryIO) -> bool:
    with_spectra = set()
    first = False
    for hdu in scan_hdus(unpacked(file)):
        if hdu.number == 1:
            first = hdu.is_table
            # Tables of many rows are not read to their end, packed ones above all.
            if not first or (hdu.rows and not _has_spectra(hdu)):
                return first
        if hdu.number in _MWM_HDUS and hdu.is_table and _has_spectra(hdu):
            with_spectra.add(hdu.number)
        if hdu.number == _MWM_HDUS[-1]:
            break
    return first and not with_spectra


def _has_spectra(hdu: Hdu) -> bool:
    return {name.lower() for name in hdu.column_names} >= _MWM_COLUMNS
