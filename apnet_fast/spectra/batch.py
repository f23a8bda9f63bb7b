"""Define the plain value that readers hand to engines: spectra and their records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from apnet_fast.spectra.failures import Reason
from apnet_fast.spectra.identity import StarIdentity, VisitName
from apnet_fast.spectra.measured import NOTHING_MEASURED, Measured

Product = Literal["star", "visit"]


@dataclass(frozen=True, slots=True)
class SpectrumRecord:
    """Describe one spectrum: its origin, its identity, and why it has no data if it has none.

    path: as given by the user, or found below a given folder. row: row of HDU 1 and 2; -1 if the file could not be
    read. snr: per pixel, from the file; NaN if missing. ra, dec [deg]. reason: None if the spectrum has data.
    hdu: the HDU that a failure concerns. sdss_id, spectrum_pk: Astra's numbers of the source and of this spectrum;
    -1 if the file has none. measured: what the reduction measured. simulated: the header marks the file as simulated.
    is_twin: an earlier row of the file has the same names, so that only its place identifies this one.
    """

    product: Product
    path: str
    row: int
    star: StarIdentity
    visit: VisitName
    snr: float
    ra: float
    dec: float
    n_visits: int
    reason: Reason | None = None
    text: str = ""
    hdu: int = 1
    sdss_id: int = -1
    spectrum_pk: int = -1
    measured: Measured = NOTHING_MEASURED
    simulated: bool = False
    is_twin: bool = False

    @property
    def identity(self) -> str:
        """Return the string that keys this spectrum's noise."""
        if self.is_twin:
            kind = "coadd" if self.product == "star" else "visit"
            return self.star.spectrum(f"{kind}-hdu-{self.hdu}-row-{self.row}")
        if self.product == "star":
            return self.star.spectrum()
        # A visit without an SFILEn card is identified by its place in the file alone.
        return self.star.spectrum(self.visit.file or f"visit-row-{self.row}")


@dataclass(frozen=True)
class SpectrumBatch:
    """Hold n spectra: flux and error, float32 (n, 8575), in the units of the file, and their records.

    A row whose record has a reason holds NaN or no usable data. It is never given to an engine.
    """

    flux: NDArray[np.float32]
    error: NDArray[np.float32]
    records: Sequence[SpectrumRecord]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Return bool (n,): which rows have data."""
        return np.fromiter((record.reason is None for record in self.records), bool, len(self.records))


def concatenate(batches: Sequence[SpectrumBatch]) -> SpectrumBatch:
    """Join batches, at least one, into one batch with all rows in order."""
    if len(batches) == 1:
        return batches[0]
    return SpectrumBatch(
        flux=np.concatenate([batch.flux for batch in batches]),
        error=np.concatenate([batch.error for batch in batches]),
        records=[record for batch in batches for record in batch.records],
    )
