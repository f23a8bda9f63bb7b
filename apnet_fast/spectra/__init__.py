"""Read spectra: FITS layouts, missing data, and the identity of a spectrum."""

from __future__ import annotations

from apnet_fast.spectra.apstar import read_apstar
from apnet_fast.spectra.batch import Product, SpectrumBatch, SpectrumRecord, concatenate
from apnet_fast.spectra.failures import Reason
from apnet_fast.spectra.reading import read_spectra, unread_spectra

__all__ = [
    "Product",
    "Reason",
    "SpectrumBatch",
    "SpectrumRecord",
    "concatenate",
    "read_apstar",
    "read_spectra",
    "unread_spectra",
]
