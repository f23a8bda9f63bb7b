"""Collect what the reduction measured of a spectrum: flags, velocities, the star's parameters, magnitudes.

Sources: the primary header, for visits HDU 9 as well. Cards of the writers: apogeereduce (DR10 to DR16), apogee 0.17
(DR17, python/apogee/apred/apstar.py), apogee_drp (SDSS-V, python/apogee_drp/apred/rv.py). Which card is which column
follows Astra 0.6.0, migrations/apogee.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apnet_fast.spectra.header import PrimaryHeader

_NAN = math.nan
# Numbers that stand for "unknown" (-9999.99, 999999, 99.99) lie outside these limits.
_FASTEST, _HOTTEST, _DIMMEST, _MOST_FIBERS = 9000.0, 1e6, 90.0, 1000.0


# Not frozen, because that makes it three times as slow; one is made per spectrum.
@dataclass(slots=True, unsafe_hash=True)
class Measured:
    """Hold the reduction's values for one spectrum. Fields have the names and units of the catalogue's columns.

    Unknown is None for integers, NaN for floats and "" for text. Velocities [km/s]: v_rad is barycentric, v_rel is the
    Doppler shift. Temperatures [K]; logg [log10(cm/s^2)]; fe_h [dex]; magnitudes [mag]; l, b [deg]; jd [d].
    in_stack: 1 if Astra's coadd holds the visit, else 0 (mwmVisit of Astra 0.8 and later).
    """

    spectrum_flags: int | None = None
    v_rad: float = _NAN
    e_v_rad: float = _NAN
    std_v_rad: float = _NAN
    median_e_v_rad: float = _NAN
    v_rel: float = _NAN
    e_v_rel: float = _NAN
    bc: float = _NAN
    doppler_teff: float = _NAN
    doppler_e_teff: float = _NAN
    doppler_logg: float = _NAN
    doppler_e_logg: float = _NAN
    doppler_fe_h: float = _NAN
    doppler_e_fe_h: float = _NAN
    doppler_rchi2: float = _NAN
    xcorr_v_rad: float = _NAN
    xcorr_v_rel: float = _NAN
    xcorr_e_v_rel: float = _NAN
    ccfwhm: float = _NAN
    autofwhm: float = _NAN
    n_components: int | None = None
    mean_fiber: float = _NAN
    std_fiber: float = _NAN
    date_obs: str = ""
    jd: float = _NAN
    j_mag: float = _NAN
    e_j_mag: float = _NAN
    h_mag: float = _NAN
    e_h_mag: float = _NAN
    k_mag: float = _NAN
    e_k_mag: float = _NAN
    l: float = _NAN  # noqa: E741
    b: float = _NAN
    in_stack: int | None = None


NOTHING_MEASURED = Measured()


_NOTHING = Measured()  # of a file that could not be read


def known(value: float, low: float, high: float) -> float:
    """Return a value that lies between the limits, both excluded; NaN otherwise."""
    return value if low < value < high else _NAN


def measured_coadd(header: PrimaryHeader) -> Measured:
    """Collect what the primary header holds of the coadd.

    VERR and the results of the velocity fit are 0 if the reduction did not compute them, so 0 is unknown there.
    """
    if not header:
        return _NOTHING
    number = header.number
    # The older VRAD is the shift of the coadd, which is 0. Files that have it have VHELIO.
    v_rad = next((card for card in ("VHELIO", "VHBARY", "VRAD") if card in header), "VRAD")
    components = header.integer("N_COMP")
    return Measured(
        spectrum_flags=header.flags("STARFLAG"),
        v_rad=_velocity(number(v_rad)),
        e_v_rad=known(number("VERR"), 0, _FASTEST),
        std_v_rad=known(number("VSCATTER"), -1e-9, _FASTEST),
        median_e_v_rad=known(number("VERR_MED"), 0, _FASTEST),
        doppler_teff=known(number("RV_TEFF"), 0, _HOTTEST),
        doppler_logg=_label(number("RV_LOGG")),
        doppler_fe_h=_label(number("RV_FEH")),
        doppler_rchi2=known(number("RV_CHI2"), 0, _HOTTEST),
        ccfwhm=known(number("CCFWHM" if "CCFWHM" in header else "CCPFWHM"), 0, _HOTTEST),
        autofwhm=known(number("AUTOFWHM"), 0, _HOTTEST),
        n_components=components if components >= 0 else None,
        mean_fiber=known(number("MEANFIB"), 0, _MOST_FIBERS),
        std_fiber=known(number("SIGFIB"), -1e-9, _MOST_FIBERS),
        **_of_the_star(header),
    )


def measured_visit(header: PrimaryHeader, visit: int, fit: Mapping[str, float]) -> Measured:
    """Collect what is known of visit 1, 2, ...: its cards, and `fit`, its row of HDU 9 ({} if there is none)."""
    if not header and not fit:
        return _NOTHING
    number = header.number
    v_rad, v_rel = _velocities(header, visit)
    get = fit.get
    return Measured(
        spectrum_flags=header.flags(f"FLAG{visit}"),
        v_rad=_first(_velocity(get("vhelio", _NAN)), v_rad),
        v_rel=_first(_velocity(get("vrel", _NAN)), v_rel),
        e_v_rel=_first(known(get("vrelerr", _NAN), 0, _FASTEST), known(number(f"VERR{visit}"), 0, _FASTEST)),
        bc=_first(_velocity(get("bc", _NAN)), _velocity(number(f"BC{visit}"))),
        doppler_teff=known(get("teff", _NAN), 0, _HOTTEST),
        doppler_e_teff=known(get("tefferr", _NAN), 0, _HOTTEST),
        doppler_logg=_label(get("logg", _NAN)),
        doppler_e_logg=known(get("loggerr", _NAN), 0, _DIMMEST),
        doppler_fe_h=_label(get("feh", _NAN)),
        doppler_e_fe_h=known(get("feherr", _NAN), 0, _DIMMEST),
        doppler_rchi2=known(_first(get("chisq", _NAN), number(f"CHISQ{visit}")), 0, _HOTTEST),
        xcorr_v_rad=_velocity(get("xcorr_vhelio", _NAN)),
        xcorr_v_rel=_velocity(get("xcorr_vrel", _NAN)),
        xcorr_e_v_rel=known(get("xcorr_vrelerr", _NAN), 0, _FASTEST),
        ccfwhm=known(get("ccpfwhm", _NAN), 0, _HOTTEST),
        autofwhm=known(get("autofwhm", _NAN), 0, _HOTTEST),
        date_obs=header.text(f"DATE{visit}"),
        jd=known(number(f"JD{visit}"), 0, 1e8),
        **_of_the_star(header),
    )


def _velocities(header: PrimaryHeader, visit: int) -> tuple[float, float]:
    """Return a visit's barycentric velocity and Doppler shift, as its cards give them.

    VRADn is the Doppler shift if there is a card for the barycentric velocity, and the barycentric velocity if there is
    one for the Doppler shift. Without either, its comment decides; without that, the frame stays unknown.
    """
    barycentric, shift = f"VHELIO{visit}", f"VREL{visit}"
    either = _velocity(header.number(f"VRAD{visit}"))
    if barycentric not in header:
        barycentric = f"VHBARY{visit}"
    if barycentric in header:
        v_rel = _velocity(header.number(shift)) if shift in header else either
        return _velocity(header.number(barycentric)), v_rel
    if shift in header:
        return either, _velocity(header.number(shift))
    comment = header.comment(f"VRAD{visit}").lower()
    return either if "centric" in comment else _NAN, either if "doppler" in comment else _NAN


def _of_the_star(header: PrimaryHeader) -> dict[str, Any]:
    """Return magnitudes and galactic coordinates, which coadd and visits share; computed once per file."""
    kept = header.kept
    if not kept:
        for band in "JHK":
            # DR10 to DR17 call them J and J_ERR, SDSS-V JMAG and JERR.
            name, error = (band, f"{band}_ERR") if band in header else (f"{band}MAG", f"{band}ERR")
            kept[f"{band.lower()}_mag"] = known(header.number(name), -_DIMMEST, _DIMMEST)
            kept[f"e_{band.lower()}_mag"] = known(header.number(error), 0, _DIMMEST)
        kept["l"] = known(header.number("GLON"), -361, 361)
        kept["b"] = known(header.number("GLAT"), -91, 91)
    return kept


def _velocity(value: float) -> float:
    return value if -_FASTEST < value < _FASTEST else _NAN


def _label(value: float) -> float:
    return value if -_DIMMEST < value < _DIMMEST else _NAN


def _first(value: float, other: float) -> float:
    """Return the value, or the other if it is NaN."""
    return value if value == value else other
