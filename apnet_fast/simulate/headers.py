"""Header cards of the three generations: only those a reader may want, in the writers' order."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from apnet_fast.simulate.layouts import Layout, star_version
from apnet_fast.simulate.population import Star, galactic
from apnet_fast.simulate.visits import Visit
from apnet_fast.support.grid import LOG_WAVELENGTH_START, LOG_WAVELENGTH_STEP, PIXELS

MISSING_MAGNITUDE = -9999.99
STARFLAG_PERSIST_HIGH = 1 << 9
STARFLAG_PERSIST_LOW = 1 << 11
STRONG_PERSISTENCE = 0.5


@dataclass(frozen=True)
class Card:
    """One header card; COMMENT cards carry their text as the value."""

    name: str
    value: str | int | float
    comment: str = ""


def grid_cards() -> list[Card]:
    """The wavelength grid, in the PRIMARY header and in every image HDU."""
    return [
        Card("CRVAL1", LOG_WAVELENGTH_START, "Start log10(wavelength) in subsequent HDUs"),
        Card("CDELT1", LOG_WAVELENGTH_STEP, "Dispersion in log10(wave) in subsequent HDUs"),
        Card("CRPIX1", 1, "Pixel of starting wavelength in subsequent HDUs"),
        Card("CTYPE1", "LOG-LINEAR", "Logarithmic wavelength scale in subsequent HDUs"),
        Card("DC-FLAG", 1, "Logarithmic wavelength scale in subsequent HDUs"),
    ]


def primary_cards(star: Star, visits: list[Visit], layout: Layout, snr: float) -> list[Card]:
    """Cards of HDU 0. `snr`: of row 0; NaN becomes the string 'NaN' (sdss5) or 0 (the others)."""
    star_cards = {"legacy": _legacy_cards, "dr17": _dr17_cards, "sdss5": _sdss5_cards}[layout.name]
    glon, glat = galactic(star.ra, star.dec)
    v_rads = np.array([visit.v_rad for visit in visits])
    fibers = np.array([visit.fiber for visit in visits], dtype=np.float64)
    weights = np.array([visit.snr for visit in visits])
    flags = [starflag(visit) for visit in visits]
    cards = [
        *grid_cards(),
        *star_cards(star, visits),
        Card("OBJID", star.obj, "APOGEE object name"),
        Card("SNR", snr, "Median S/N per apStar pixel"),
        Card("RA", star.ra, "right ascension, deg, J2000"),
        Card("DEC", star.dec, "declination, deg, J2000"),
        Card("GLON", glon, "Galactic longitude"),
        Card("GLAT", glat, "Galactic latitude"),
        Card("NVISITS", len(visits), "Number of visit spectra combined"),
        Card("STARFLAG", int(np.bitwise_or.reduce(flags)), "bitwise OR of individual visit starflags"),
        Card("ANDFLAG", int(np.bitwise_and.reduce(flags)), "bitwise AND of individual visit starflags"),
        Card("VSCATTER", float(v_rads.std(ddof=1)) if len(visits) > 1 else 0.0, "scatter of visit RVs"),
        Card("VERR", velocity_error(snr), "weighted error of the mean RV"),
        Card("MEANFIB", float(np.average(fibers, weights=weights)), "S/N weighted mean fiber number"),
        Card("SIGFIB", float(fibers.std(ddof=1)) if len(visits) > 1 else 0.0, "scatter of fiber number"),
    ]
    for number, visit in enumerate(visits, start=1):
        cards += _visit_cards(number, star, visit, layout)
    cards.append(Card("HISTORY", "Simulated spectrum, not archive data"))
    return [_without_nan(card, layout) for card in cards]


def starflag(visit: Visit) -> int:
    """STARFLAG of a visit: the persistence bits, which are warnings."""
    if visit.persistence > STRONG_PERSISTENCE:
        return STARFLAG_PERSIST_HIGH
    return STARFLAG_PERSIST_LOW if visit.persistence > 0 else 0


def velocity_error(snr: float) -> float:
    """Error of a radial velocity, km/s: 0.1 at S/N 50 and in inverse proportion."""
    return 5.0 / snr if snr > 0 else 0.0


def _legacy_cards(star: Star, visits: list[Visit]) -> list[Card]:
    return [
        Card("J", star.j_mag, "2MASS J magnitude"),
        Card("H", star.h_mag, "2MASS H magnitude"),
        Card("K", star.k_mag, "2MASS Ks magnitude"),
        Card("SURVEY", "apogee", "Survey name (for targeting flags)"),
        Card("TELESCOP", star.telescope, "Telescope"),
        Card("LOCID", 4000 + star.healpix % 1000, "LocationID"),
        Card("FIELD", star.field, "Field name"),
        Card("NWAVE", PIXELS, "Number of wavelengths in subsequent HDUs"),
        Card("VHELIO", _mean_velocity(visits), "mean heliocentric velocity (km/s)"),
        Card("RVTEFF", _to_grid(star.teff, 250.0), "effective temperature from RV mini-grid"),
        Card("RVLOGG", _to_grid(star.logg, 0.5), "surface gravity from RV mini-grid"),
        Card("RVFEH", _to_grid(star.fe_h, 0.5), "metallicity [Fe/H] from RV mini-grid"),
    ]


def _dr17_cards(star: Star, visits: list[Visit]) -> list[Card]:
    unknown = ("WASH_M", "WASH_T2", "DDO51", "IRAC_3_6", "IRAC_4_5", "IRAC_5_8", "WISE_4_5", "TARG_4_5")
    return [
        Card("NWAVE", PIXELS, "Number of wavelengths in subsequent HDUs"),
        Card("FIELD", star.field, "APOGEE field name"),
        Card("J", star.j_mag, "2MASS J magnitude"),
        Card("J_ERR", 0.02, "2MASS J magnitude uncertainty"),
        Card("H", star.h_mag, "2MASS H magnitude"),
        Card("H_ERR", 0.02, "2MASS H magnitude uncertainty"),
        Card("K", star.k_mag, "2MASS K magnitude"),
        Card("K_ERR", 0.02, "2MASS K magnitude uncertainty"),
        *(Card(name, MISSING_MAGNITUDE) for name in unknown),
        Card("AKTARG", 0.05, "Extinction used for targeting"),
        Card("AKWISE", 0.05, "WISE all-sky extinction"),
        Card("SFD_EBV", 0.15, "SFD E(B-V)"),
        Card("VHELIO", _mean_velocity(visits), "S/N weighted mean barycentric RV"),
        Card("RV_TEFF", star.teff, "Effective temperature from RV fit"),
        Card("RV_LOGG", star.logg, "Surface gravity from RV fit"),
        Card("RV_FEH", star.fe_h, "Metallicity from RV fit"),
        Card("CCFWHM", 30.0, "FWHM of RV CCF of star with template (km/s)"),
        Card("AUTOFWHM", 30.0, "FWHM of RV CCF of template with template (km/s)"),
    ]


def _sdss5_cards(star: Star, visits: list[Visit]) -> list[Card]:
    return [
        Card("V_APRED", "simulated", "APOGEE software version"),
        Card("APRED", "1.3", "APOGEE reduction version"),
        Card("STARVER", star_version(visits), "apStar version"),
        Card("HEALPIX", star.healpix, "HEALPix location"),
        Card("JMAG", star.j_mag, "2MASS J magnitude"),
        Card("JERR", 0.02, "2MASS J magnitude uncertainty"),
        Card("HMAG", star.h_mag, "2MASS H magnitude"),
        Card("HERR", 0.02, "2MASS H magnitude uncertainty"),
        Card("KMAG", star.k_mag, "2MASS K magnitude"),
        Card("KERR", 0.02, "2MASS K magnitude uncertainty"),
        Card("CATID", 27_021_597_000_000_000 + star.healpix, "SDSS-V catalog ID"),
        Card("PLX", math.nan, "GaiaDR2 parallax"),
        Card("PMRA", math.nan, "GaiaDR2 proper motion in RA"),
        Card("PMDEC", math.nan, "GaiaDR2 proper motion in DEC"),
        Card("GMAG", star.j_mag + 1.2, "GaiaDR2 G magnitude"),
        Card("CARTON1", "mwm_galactic_core", "SDSS-V carton"),
        Card("PROGRAM", "mwm_galactic", "SDSS-V program"),
        Card("VRAD", _mean_velocity(visits), "S/N weighted mean barycentric RV"),
        Card("RV_TEFF", star.teff, "Effective temperature from RV fit"),
        Card("RV_LOGG", star.logg, "Surface gravity from RV fit"),
        Card("RV_FEH", star.fe_h, "Metallicity from RV fit"),
    ]


def _visit_cards(n: int, star: Star, visit: Visit, layout: Layout) -> list[Card]:
    """VRADn is the Doppler shift, but in SDSS-V the barycentric velocity; each has a card for the other."""
    doppler, barycentric = visit.v_rel, visit.v_rad
    if layout.name == "sdss5":
        velocities = [
            Card(f"VRAD{n}", barycentric, f"Barycentric velocity (km/s), visit {n}"),
            Card(f"VREL{n}", doppler, f"Doppler shift (km/s), visit {n}"),
            Card(f"CHISQ{n}", 1.0, f"Chi-squared of RV fit, visit {n}"),
        ]
    else:
        velocities = [
            Card(f"VRAD{n}", doppler, f"Doppler shift (km/s) of visit {n}"),
            Card(f"VERR{n}", velocity_error(visit.snr), "error in VRAD (km/s)"),
            Card(f"VHELIO{n}", barycentric, f"Heliocentric velocity (km/s), visit {n}"),
        ]
    if layout.name == "legacy":
        velocities.append(Card(f"HJD{n}", visit.julian_date - 2_400_000.0, f"Reduced HJD of visit {n}"))
        velocities.append(Card(f"VTYPE{n}", 1, "RV type (1=chisq, 2=xcorr)"))
    return [
        Card("COMMENT", f"VISIT {n} INFORMATION"),
        Card(f"SFILE{n}", layout.visit_file(star, visit), f"Visit #{n} spectrum file"),
        Card(f"DATE{n}", visit.date, f"DATE-OBS of visit {n}"),
        Card(f"JD{n}", visit.julian_date, f"Julian date of visit {n}"),
        Card(f"FIBER{n}", visit.fiber, f"Fiber, visit {n}"),
        Card(f"BC{n}", visit.bc, f"Barycentric correction (km/s), visit {n}"),
        *velocities,
        Card(f"SNRVIS{n}", visit.snr, f"Signal/Noise ratio, visit {n}"),
        Card(f"FLAG{n}", starflag(visit), f"STARFLAG for visit {n}"),
    ]


def _mean_velocity(visits: list[Visit]) -> float:
    return float(np.average([visit.v_rad for visit in visits], weights=[visit.snr for visit in visits]))


def _to_grid(value: float, step: float) -> float:
    return step * round(value / step)


def _without_nan(card: Card, layout: Layout) -> Card:
    """FITS headers have no NaN: the SDSS-V writer puts the string, the older ones never a missing S/N."""
    if not (isinstance(card.value, float) and math.isnan(card.value)):
        return card
    return Card(card.name, "NaN" if layout.name == "sdss5" else 0.0, card.comment)
