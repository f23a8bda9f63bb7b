"""Gather the spectra of several files into one batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from apnet_fast.spectra import SpectrumBatch, SpectrumRecord
from apnet_fast.support.grid import PIXELS

# Rows of a batch beyond its size: most files fit into them, so that batches seldom have to be made larger.
_SPARE_ROWS = 32


class Gathered:
    """The spectra of some files, copied into one batch of about `batch_size`; a file is never split."""

    def __init__(self, batch_size: int) -> None:
        self._flux = np.empty((batch_size + _SPARE_ROWS, PIXELS), np.float32)
        self._error = np.empty_like(self._flux)
        self._records: list[SpectrumRecord] = []
        self.files = 0

    @property
    def spectra(self) -> int:
        """Number of spectra so far."""
        return len(self._records)

    def add(self, file: SpectrumBatch) -> None:
        """Copy the spectra of a file."""
        start, stop = self.spectra, self.spectra + len(file)
        if stop > len(self._flux):
            self._flux, self._error = (_longer(array, start, stop) for array in (self._flux, self._error))
        # Nobody looks at the rows of a file that could not be read, and tables may name 100,000 that are missing.
        if any(record.row >= 0 for record in file.records):
            self._flux[start:stop] = file.flux
            self._error[start:stop] = file.error
        self._records.extend(file.records)
        self.files += 1

    def batch(self) -> SpectrumBatch:
        """Return all spectra: flux and error (n, 8575) float32, copied once more only if they are few."""
        flux, error = self._flux[: self.spectra], self._error[: self.spectra]
        if 2 * self.spectra < len(self._flux):
            # A view would keep the memory of all rows, and hundreds of small batches may be under way.
            flux, error = flux.copy(), error.copy()
        return SpectrumBatch(flux, error, self._records)


def _longer(array: NDArray[np.float32], used: int, length: int) -> NDArray[np.float32]:
    longer = np.empty((length, PIXELS), np.float32)
    longer[:used] = array[:used]
    return longer
