"""Simulated visits for the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from apnet_fast.simulate.header_cards import Summary, summarise
from apnet_fast.simulate.layouts import LAYOUTS
from apnet_fast.simulate.observe import ObservedVisit, observe_visit
from apnet_fast.simulate.pixels import BAD_BITS, PixelBit
from apnet_fast.simulate.population import Star
from apnet_fast.simulate.rows import lay_out
from apnet_fast.simulate.stars.synthesis import synthesise
from apnet_fast.simulate.visits import Visit
from apnet_fast.support.grid import PIXEL_KMS

SPECTRUM = synthesise(4700.0, 2.4, -0.1)[0].astype(np.float64)
LEVEL = 450.0
VISIT = Visit(
    mjd=58_000,
    day_fraction=0.25,
    plate="5214",
    fiber=100,
    snr=80.0,
    v_rad=0.0,
    bc=0.0,
    bad_fraction=0.009,
    persistence=0.0,
)

STAR = Star(
    obj="2M19085185+5058401",
    ra=287.216,
    dec=50.978,
    field="082+17",
    telescope="apo25m",
    healpix=20_123,
    teff=4700.0,
    logg=2.4,
    fe_h=-0.1,
    vsini=2.0,
    j_mag=11.9,
    h_mag=11.0,
    k_mag=10.8,
    v_rad=12.0,
    v_amplitude=0.1,
)


def observe(seed: int = 0, level: float = LEVEL, **changes: float) -> ObservedVisit:
    """The visit `VISIT` of `SPECTRUM` with some of its fields changed."""
    return observe_visit(SPECTRUM, level, replace(VISIT, **changes), np.random.default_rng(seed))


def ordinary(seen: ObservedVisit) -> NDArray[np.bool_]:
    """Pixels with nothing but photon noise."""
    spoilt = BAD_BITS | PixelBit.SIG_SKYLINE | PixelBit.SIG_TELLURIC
    return seen.covered & ((seen.mask & int(spoilt)) == 0) & (seen.inflation == 1)


def observe_many(n: int, dead: int | None = None) -> list[ObservedVisit]:
    """`n` visits, ten pixels of velocity apart; visit number `dead` holds no data."""
    return [observe(i, v_rad=10 * i * PIXEL_KMS, dead=i == dead) for i in range(n)]


def visits(**columns: Sequence[object]) -> list[Visit]:
    """Visits on following nights; each keyword has the values of a field, one per visit."""
    rows = zip(*columns.values(), strict=True) if columns else [()] * 3
    return [
        replace(VISIT, mjd=58_000 + night, **dict(zip(columns, row, strict=True)))  # type: ignore[arg-type]
        for night, row in enumerate(rows)
    ]


def summary(layout: str, **columns: Sequence[object]) -> Summary:
    """A star's summary; its rows are those of `observe_many`, whatever the keywords say."""
    of_layout = LAYOUTS[layout]
    chosen = visits(**columns)
    return summarise(STAR, chosen, of_layout, lay_out(observe_many(len(chosen)), of_layout))
