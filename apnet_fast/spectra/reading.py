"""Read spectra from any source of a plan: an apStar file, an mwmStar or mwmVisit file, or a file of a pack."""

from __future__ import annotations

import time
from collections.abc import Sequence

from apnet_fast.spectra.apstar import BOTH, read_apstar, unread_apstar
from apnet_fast.spectra.batch import Product, SpectrumBatch
from apnet_fast.spectra.failures import Reason
from apnet_fast.spectra.identity import parse_file_name
from apnet_fast.spectra.mwm import has_mwm_tables, is_mwm_name, read_mwm, unread_mwm
from apnet_fast.spectra.pack import PACK_SUFFIX, read_pack, unread_pack

# Seconds to wait before each further try of a file whose reading failed for a passing reason.
_PAUSES = (0.1, 0.5)
_AGAIN = frozenset({Reason.IO_ERROR, Reason.BEING_WRITTEN})
# After as many files in a row that no further try has helped, the file system is gone: waiting for each costs days.
_MOST_IN_VAIN = 5
_in_vain = 0


def read_spectra(source: str, products: Sequence[Product] = BOTH) -> SpectrumBatch:
    """Read all spectra of a source, of the products wanted. A bad source never raises an error.

    A name that follows the survey's rules decides the kind of source. Other FITS files are inspected. If the file
    system fails, or the file is just being written, the file is tried again, twice and within a second.
    """
    global _in_vain
    batch = _read_once(source, products)
    if not _failed_in_passing(batch):
        _in_vain = 0
        return batch
    for pause in _PAUSES if _in_vain < _MOST_IN_VAIN else ():
        time.sleep(pause)
        batch = _read_once(source, products)
        if not _failed_in_passing(batch):
            _in_vain = 0
            return batch
    _in_vain += 1
    return batch


def unread_spectra(source: str, products: Sequence[Product], reason: Reason, text: str) -> SpectrumBatch:
    """Return failed spectra for a source that must not be opened, as far as its name or its pack describes them."""
    name = source.rpartition("/")[2]
    if name.endswith(PACK_SUFFIX):
        return unread_pack(source, products, reason, text)
    unread = unread_mwm if is_mwm_name(name) else unread_apstar
    return unread(source, products, reason, text)


def _read_once(source: str, products: Sequence[Product]) -> SpectrumBatch:
    name = source.rpartition("/")[2]
    if name.endswith(PACK_SUFFIX):
        return read_pack(source, products)
    if is_mwm_name(name) or (not parse_file_name(source).standard and has_mwm_tables(source)):
        return read_mwm(source, products)
    return read_apstar(source, products)


def _failed_in_passing(batch: SpectrumBatch) -> bool:
    # A file that fails does so as a whole.
    return len(batch) > 0 and batch.records[0].row < 0 and batch.records[0].reason in _AGAIN
