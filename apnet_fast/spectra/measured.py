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
# Numbers that stand for "unknown" (-9999.99, 99999, 999999, 99.99) lie outside these limits.
_VELOCITY, _LABEL, _MAGNITUDE = (-9000.0, 9000.0), (-90.0, 90.0), (-90.0, 90.0)
_E_VELOCITY, _E_LABEL, _TEMPERATURE, _FIT = (0.0, 9000.0), (0.0, 90.0), (0.0, 99_999.0), (0.0, 999_999.0)
_LIMITS: Mapping[str, tuple[float, float]] = {
    "v_rad": _VELOCITY,
    "e_v_rad": _E_VELOCITY,
    "std_v_rad": (-1e-9, 9000.0),
    "median_e_v_rad": _E_VELOCITY,
    "v_rel": _VELOCITY,
    "e_v_rel": _E_VELOCITY,
    "bc": _VELOCITY,
    "doppler_teff": _TEMPERATURE,
    "doppler_e_teff": _TEMPERATURE,
    "doppler_logg": _LABEL,
    "doppler_e_logg": _E_LABEL,
    "doppler_fe_h": _LABEL,
    "doppler_e_fe_h": _E_LABEL,
    "doppler_rchi2": _FIT,
    "xcorr_v_rad": _VELOCITY,
    "xcorr_v_rel": _VELOCITY,
    "xcorr_e_v_rel": _E_VELOCITY,
    "ccfwhm": _FIT,
    "autofwhm": _FIT,
    "mean_fiber": (0.0, 1000.0),
    "std_fiber": (-1e-9, 1000.0),
    "jd": (0.0, 1e8),
    "j_mag": _MAGNITUDE,
    "e_j_mag": _E_LABEL,
    "h_mag": _MAGNITUDE,
    "e_h_mag": _E_LABEL,
    "k_mag": _MAGNITUDE,
    "e_k_mag": _E_LABEL,
    "l": (-361.0, 361.0),
    "b": (-91.0, 91.0),
}
MEASURES = tuple(_LIMITS)
"""Those fields of Measured that are floats."""
COMPONENTS = range(999)
"""Numbers of components that a spectrum may have; others stand for "unknown"."""
_SNR, _RA, _DEC = (0.0, 99_999.0), (-361.0, 361.0), (-91.0, 91.0)


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


def known(name: str, value: float) -> float:
    """Return the value of a field of Measured; NaN where it is not finite or stands for "unknown"."""
    low, high = _LIMITS[name]
    return value if low < value < high else _NAN


def known_snr(value: float) -> float:
    """Return a signal-to-noise ratio; NaN where it is not finite or stands for "unknown": 0, -9999, 99999."""
    return value if _SNR[0] < value < _SNR[1] else _NAN


def position_of(header: PrimaryHeader) -> tuple[float, float]:
    """Return RA and DEC [deg] of a primary header; NaN where they are missing or no angles of the sky."""
    ra, dec = header.number("RA"), header.number("DEC")
    return ra if _RA[0] < ra < _RA[1] else _NAN, dec if _DEC[0] < dec < _DEC[1] else _NAN


def measured_coadd(header: PrimaryHeader) -> Measured:
    """Collect what the primary header holds of the coadd.

    VERR and the results of the velocity fit are 0 if the reduction did not compute them, so 0 is unknown there.
    """
    if not header:
        return _NOTHING
    number = header.number
    # The older VRAD is the shift of the coadd, which is 0. Files that have it have VHELIO.
    v_rad = next((card for card in ("VHELIO", "VHBARY", "VRAD") if card in header), "VRAD")
    components = header.integer("N_COMP", COMPONENTS)
    return Measured(
        spectrum_flags=header.flags("STARFLAG"),
        v_rad=known("v_rad", number(v_rad)),
        e_v_rad=known("e_v_rad", number("VERR")),
        std_v_rad=known("std_v_rad", number("VSCATTER")),
        median_e_v_rad=known("median_e_v_rad", number("VERR_MED")),
        doppler_teff=known("doppler_teff", number("RV_TEFF")),
        doppler_logg=known("doppler_logg", number("RV_LOGG")),
        doppler_fe_h=known("doppler_fe_h", number("RV_FEH")),
        doppler_rchi2=known("doppler_rchi2", number("RV_CHI2")),
        ccfwhm=known("ccfwhm", number("CCFWHM" if "CCFWHM" in header else "CCPFWHM")),
        autofwhm=known("autofwhm", number("AUTOFWHM")),
        n_components=components if components >= 0 else None,
        mean_fiber=known("mean_fiber", number("MEANFIB")),
        std_fiber=known("std_fiber", number("SIGFIB")),
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
        v_rad=_first(known("v_rad", get("vhelio", _NAN)), v_rad),
        v_rel=_first(known("v_rel", get("vrel", _NAN)), v_rel),
        e_v_rel=_first(known("e_v_rel", get("vrelerr", _NAN)), known("e_v_rel", number(f"VERR{visit}"))),
        bc=_first(known("bc", get("bc", _NAN)), known("bc", number(f"BC{visit}"))),
        doppler_teff=known("doppler_teff", get("teff", _NAN)),
        doppler_e_teff=known("doppler_e_teff", get("tefferr", _NAN)),
        doppler_logg=known("doppler_logg", get("logg", _NAN)),
        doppler_e_logg=known("doppler_e_logg", get("loggerr", _NAN)),
        doppler_fe_h=known("doppler_fe_h", get("feh", _NAN)),
        doppler_e_fe_h=known("doppler_e_fe_h", get("feherr", _NAN)),
        doppler_rchi2=known("doppler_rchi2", _first(get("chisq", _NAN), number(f"CHISQ{visit}"))),
        xcorr_v_rad=known("xcorr_v_rad", get("xcorr_vhelio", _NAN)),
        xcorr_v_rel=known("xcorr_v_rel", get("xcorr_vrel", _NAN)),
        xcorr_e_v_rel=known("xcorr_e_v_rel", get("xcorr_vrelerr", _NAN)),
        ccfwhm=known("ccfwhm", get("ccpfwhm", _NAN)),
        autofwhm=known("autofwhm", get("autofwhm", _NAN)),
        date_obs=header.text(f"DATE{visit}"),
        jd=known("jd", number(f"JD{visit}")),
        **_of_the_star(header),
    )


def _velocities(header: PrimaryHeader, visit: int) -> tuple[float, float]:
    """Return a visit's barycentric velocity and Doppler shift, as its cards give them.

    VRADn is the Doppler shift if there is a card for the barycentric velocity, and the barycentric velocity if there is
    one for the Doppler shift. Without either, its comment decides; without that, the frame stays unknown.
    """
    barycentric, shift = f"VHELIO{visit}", f"VREL{visit}"
    either = known("v_rad", header.number(f"VRAD{visit}"))
    if barycentric not in header:
        barycentric = f"VHBARY{visit}"
    if barycentric in header:
        v_rel = known("v_rel", header.number(shift)) if shift in header else either
        return known("v_rad", header.number(barycentric)), v_rel
    if shift in header:
        return either, known("v_rel", header.number(shift))
    comment = header.comment(f"VRAD{visit}").lower()
    return either if "centric" in comment else _NAN, either if "doppler" in comment else _NAN


def _of_the_star(header: PrimaryHeader) -> dict[str, Any]:
    """Return magnitudes and galactic coordinates, which coadd and visits share; computed once per file."""
    kept = header.kept
    if not kept:
        for band in "JHK":
            # DR10 to DR17 call them J and J_ERR, SDSS-V JMAG and JERR.
            name, error = (band, f"{band}_ERR") if band in header else (f"{band}MAG", f"{band}ERR")
            for field, card in ((f"{band.lower()}_mag", name), (f"e_{band.lower()}_mag", error)):
                kept[field] = known(field, header.number(card))
        kept["l"] = known("l", header.number("GLON"))
        kept["b"] = known("b", header.number("GLAT"))
    return kept


def _first(value: float, other: float) -> float:
    """Return the value, or the other if it is NaN."""
    return value if value == value else other
