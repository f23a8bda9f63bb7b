"""Make observed spectra in memory: what the files would hold, without writing them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apnet_fast.simulate.layouts import find_layout
from apnet_fast.simulate.observe import observe_visit
from apnet_fast.simulate.population import Star, draw_fields, draw_star
from apnet_fast.simulate.rows import lay_out
from apnet_fast.simulate.streams import ARRAYS, FIELDS, HOW_OFTEN, SEEN, WHEN, WHO, Streams
from apnet_fast.simulate.visits import draw_snr, flux_level, plan_visits
from apnet_fast.support.errors import UsageError
from apnet_fast.support.grid import PIXELS

SYNTHESIS_BATCH = 64


class ObservedArrays(NamedTuple):
    """Spectra and their true labels.

    flux, error: float32 (n, 8575), in 1e-17 erg/s/cm^2/Angstrom, gaps coded as in row 0 of the layout's files.
    labels: float64 (n, 3), teff in K, logg in log10(cm/s^2), fe_h in dex.
    """

    flux: NDArray[np.float32]
    error: NDArray[np.float32]
    labels: NDArray[np.float64]


def observed_arrays(n: int, seed: int, *, snr: float | None = None, layout: str = "sdss5") -> ObservedArrays:
    """Make `n` coadds of one visit each, of stars of the survey's mix, with the code that makes the files.

    snr: per pixel of each spectrum; None draws it from the layout's distribution. Spectrum i depends
    on the seed and on i alone. The stars differ from those of `simulate_tree` with the same seed.

    Raises UsageError for n < 1, a negative seed, an S/N that is not positive, or an unknown layout.
    """
    from apnet_fast.simulate.stars.synthesis import synthesise

    chosen = find_layout(layout)
    if n < 1:
        raise UsageError("There is nothing to simulate", got=f"{n} spectra", expected="1 or more")
    if seed < 0:
        raise UsageError("The seed is out of range", got=seed, expected="0 or more")
    if snr is not None and not (np.isfinite(snr) and snr > 0):
        raise UsageError("The S/N is out of range", got=snr, expected="a positive number")
    fields = draw_fields(Streams(seed, FIELDS, 0).stream(), chosen.southernmost_dec)
    all_streams = [Streams(seed, ARRAYS, number) for number in range(n)]
    stars: list[Star] = []
    for streams in all_streams:
        who = streams.stream(WHO)
        stars.append(draw_star(who, fields[who.integers(len(fields))]))
    labels = np.array([(star.teff, star.logg, star.fe_h) for star in stars])
    vsini = np.array([star.vsini for star in stars])

    flux = np.empty((n, PIXELS), dtype=np.float32)
    error = np.empty((n, PIXELS), dtype=np.float32)
    for first in range(0, n, SYNTHESIS_BATCH):
        batch = slice(first, min(first + SYNTHESIS_BATCH, n))
        spectra = synthesise(*labels[batch].T, vsini=vsini[batch])
        for number, spectrum in zip(range(batch.start, batch.stop), spectra, strict=True):
            star, streams = stars[number], all_streams[number]
            wanted = draw_snr(streams.stream(HOW_OFTEN), chosen.name, star.h_mag) if snr is None else snr
            (visit,) = plan_visits(
                streams.stream(WHEN),
                star,
                n_visits=1,
                snr=wanted,
                first_mjd=chosen.first_mjd,
                last_mjd=chosen.last_mjd,
            )
            seen = observe_visit(spectrum.astype(np.float64), flux_level(star.h_mag), visit, streams.stream(SEEN, 0))
            planes = lay_out([seen], chosen)
            flux[number], error[number] = planes.flux[0], planes.error[0]
    return ObservedArrays(flux, error, labels)
