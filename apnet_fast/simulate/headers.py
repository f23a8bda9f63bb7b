"""Header cards of the three generations: those that a reader may want, in the writers' order."""

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
class HeaderCard:
    """One header card; a COMMENT card has its text as the value."""

    name: str
    value: str | int | float
    comment: str = ""


def grid_cards() -> list[HeaderCard]:
    """Return the cards of the wavelength grid, for the PRIMARY header and every image HDU."""
    return [
        HeaderCard("CRVAL1", LOG_WAVELENGTH_START, "Start log10(wavelength) in subsequent HDUs"),
        HeaderCard("CDELT1", LOG_WAVELENGTH_STEP, "Dispersion in log10(wave) in subsequent HDUs"),
        HeaderCard("CRPIX1", 1, "Pixel of starting wavelength in subsequent HDUs"),
        HeaderCard("CTYPE1", "LOG-LINEAR", "Logarithmic wavelength scale in subsequent HDUs"),
        HeaderCard("DC-FLAG", 1, "Logarithmic wavelength scale in subsequent HDUs"),
    ]


def primary_cards(star: Star, visits: list[Visit], layout: Layout, snr: float) -> list[HeaderCard]:
    """Return the cards of HDU 0. `snr` belongs to row 0; NaN becomes the string 'NaN' (sdss5) or 0 (the others)."""
    star_cards = {"legacy": _legacy_cards, "dr17": _dr17_cards, "sdss5": _sdss5_cards}[layout.name]
    glon, glat = galactic(star.ra, star.dec)
    v_rads = np.array([visit.v_rad for visit in visits])
    fibers = np.array([visit.fiber for visit in visits], dtype=np.float64)
    weights = np.array([visit.snr for visit in visits])
    flags = [starflag(visit) for visit in visits]
    cards = [
        *grid_cards(),
        *star_cards(star, visits),
        HeaderCard("OBJID", star.obj, "APOGEE object name"),
        HeaderCard("SNR", snr, "Median S/N per apStar pixel"),
        HeaderCard("RA", star.ra, "right ascension, deg, J2000"),
        HeaderCard("DEC", star.dec, "declination, deg, J2000"),
        HeaderCard("GLON", glon, "Galactic longitude"),
        HeaderCard("GLAT", glat, "Galactic latitude"),
        HeaderCard("NVISITS", len(visits), "Number of visit spectra combined"),
        HeaderCard("STARFLAG", int(np.bitwise_or.reduce(flags)), "bitwise OR of individual visit starflags"),
        HeaderCard("ANDFLAG", int(np.bitwise_and.reduce(flags)), "bitwise AND of individual visit starflags"),
        HeaderCard("VSCATTER", float(v_rads.std(ddof=1)) if len(visits) > 1 else 0.0, "scatter of visit RVs"),
        HeaderCard("VERR", velocity_error(snr), "weighted error of the mean RV"),
        HeaderCard("MEANFIB", float(np.average(fibers, weights=weights)), "S/N weighted mean fiber number"),
        HeaderCard("SIGFIB", float(fibers.std(ddof=1)) if len(visits) > 1 else 0.0, "scatter of fiber number"),
    ]
    for number, visit in enumerate(visits, start=1):
        cards += _visit_cards(number, star, visit, layout)
    cards.append(HeaderCard("HISTORY", "Simulated spectrum, not archive data"))
    return [_without_nan(card, layout) for card in cards]


def starflag(visit: Visit) -> int:
    """Return STARFLAG of a visit: the persistence bits, which are warnings."""
    if visit.persistence > STRONG_PERSISTENCE:
        return STARFLAG_PERSIST_HIGH
    return STARFLAG_PERSIST_LOW if visit.persistence > 0 else 0


def velocity_error(snr: float) -> float:
    """Return the error of a radial velocity in km/s: 0.1 at S/N 50, in inverse proportion to S/N."""
    return 5.0 / snr if snr > 0 else 0.0


def _legacy_cards(star: Star, visits: list[Visit]) -> list[HeaderCard]:
    return [
        HeaderCard("J", star.j_mag, "2MASS J magnitude"),
        HeaderCard("H", star.h_mag, "2MASS H magnitude"),
        HeaderCard("K", star.k_mag, "2MASS Ks magnitude"),
        HeaderCard("SURVEY", "apogee", "Survey name (for targeting flags)"),
        HeaderCard("TELESCOP", star.telescope, "Telescope"),
        HeaderCard("LOCID", 4000 + star.healpix % 1000, "LocationID"),
        HeaderCard("FIELD", star.field, "Field name"),
        HeaderCard("NWAVE", PIXELS, "Number of wavelengths in subsequent HDUs"),
        HeaderCard("VHELIO", _mean_velocity(visits), "mean heliocentric velocity (km/s)"),
        HeaderCard("RVTEFF", _to_grid(star.teff, 250.0), "effective temperature from RV mini-grid"),
        HeaderCard("RVLOGG", _to_grid(star.logg, 0.5), "surface gravity from RV mini-grid"),
        HeaderCard("RVFEH", _to_grid(star.fe_h, 0.5), "metallicity [Fe/H] from RV mini-grid"),
    ]


def _dr17_cards(star: Star, visits: list[Visit]) -> list[HeaderCard]:
    unknown = ("WASH_M", "WASH_T2", "DDO51", "IRAC_3_6", "IRAC_4_5", "IRAC_5_8", "WISE_4_5", "TARG_4_5")
    return [
        HeaderCard("NWAVE", PIXELS, "Number of wavelengths in subsequent HDUs"),
        HeaderCard("FIELD", star.field, "APOGEE field name"),
        HeaderCard("J", star.j_mag, "2MASS J magnitude"),
        HeaderCard("J_ERR", 0.02, "2MASS J magnitude uncertainty"),
        HeaderCard("H", star.h_mag, "2MASS H magnitude"),
        HeaderCard("H_ERR", 0.02, "2MASS H magnitude uncertainty"),
        HeaderCard("K", star.k_mag, "2MASS K magnitude"),
        HeaderCard("K_ERR", 0.02, "2MASS K magnitude uncertainty"),
        *(HeaderCard(name, MISSING_MAGNITUDE) for name in unknown),
        HeaderCard("AKTARG", 0.05, "Extinction used for targeting"),
        HeaderCard("AKWISE", 0.05, "WISE all-sky extinction"),
        HeaderCard("SFD_EBV", 0.15, "SFD E(B-V)"),
        HeaderCard("VHELIO", _mean_velocity(visits), "S/N weighted mean barycentric RV"),
        HeaderCard("RV_TEFF", star.teff, "Effective temperature from RV fit"),
        HeaderCard("RV_LOGG", star.logg, "Surface gravity from RV fit"),
        HeaderCard("RV_FEH", star.fe_h, "Metallicity from RV fit"),
        HeaderCard("CCFWHM", 30.0, "FWHM of RV CCF of star with template (km/s)"),
        HeaderCard("AUTOFWHM", 30.0, "FWHM of RV CCF of template with template (km/s)"),
    ]


def _sdss5_cards(star: Star, visits: list[Visit]) -> list[HeaderCard]:
    return [
        HeaderCard("V_APRED", "simulated", "APOGEE software version"),
        HeaderCard("APRED", "1.3", "APOGEE reduction version"),
        HeaderCard("STARVER", star_version(visits), "apStar version"),
        HeaderCard("HEALPIX", star.healpix, "HEALPix location"),
        HeaderCard("JMAG", star.j_mag, "2MASS J magnitude"),
        HeaderCard("JERR", 0.02, "2MASS J magnitude uncertainty"),
        HeaderCard("HMAG", star.h_mag, "2MASS H magnitude"),
        HeaderCard("HERR", 0.02, "2MASS H magnitude uncertainty"),
        HeaderCard("KMAG", star.k_mag, "2MASS K magnitude"),
        HeaderCard("KERR", 0.02, "2MASS K magnitude uncertainty"),
        HeaderCard("CATID", 27_021_597_000_000_000 + star.healpix, "SDSS-V catalog ID"),
        HeaderCard("PLX", math.nan, "GaiaDR2 parallax"),
        HeaderCard("PMRA", math.nan, "GaiaDR2 proper motion in RA"),
        HeaderCard("PMDEC", math.nan, "GaiaDR2 proper motion in DEC"),
        HeaderCard("GMAG", star.j_mag + 1.2, "GaiaDR2 G magnitude"),
        HeaderCard("CARTON1", "mwm_galactic_core", "SDSS-V carton"),
        HeaderCard("PROGRAM", "mwm_galactic", "SDSS-V program"),
        HeaderCard("VRAD", _mean_velocity(visits), "S/N weighted mean barycentric RV"),
        HeaderCard("RV_TEFF", star.teff, "Effective temperature from RV fit"),
        HeaderCard("RV_LOGG", star.logg, "Surface gravity from RV fit"),
        HeaderCard("RV_FEH", star.fe_h, "Metallicity from RV fit"),
    ]


def _visit_cards(n: int, star: Star, visit: Visit, layout: Layout) -> list[HeaderCard]:
    """Return the cards of visit n. VRADn is the Doppler shift, but in SDSS-V the barycentric velocity."""
    doppler, barycentric = visit.v_rel, visit.v_rad
    if layout.name == "sdss5":
        velocities = [
            HeaderCard(f"VRAD{n}", barycentric, f"Barycentric velocity (km/s), visit {n}"),
            HeaderCard(f"VREL{n}", doppler, f"Doppler shift (km/s), visit {n}"),
            HeaderCard(f"CHISQ{n}", 1.0, f"Chi-squared of RV fit, visit {n}"),
        ]
    else:
        velocities = [
            HeaderCard(f"VRAD{n}", doppler, f"Doppler shift (km/s) of visit {n}"),
            HeaderCard(f"VERR{n}", velocity_error(visit.snr), "error in VRAD (km/s)"),
            HeaderCard(f"VHELIO{n}", barycentric, f"Heliocentric velocity (km/s), visit {n}"),
        ]
    if layout.name == "legacy":
        velocities.append(HeaderCard(f"HJD{n}", visit.julian_date - 2_400_000.0, f"Reduced HJD of visit {n}"))
        velocities.append(HeaderCard(f"VTYPE{n}", 1, "RV type (1=chisq, 2=xcorr)"))
    return [
        HeaderCard("COMMENT", f"VISIT {n} INFORMATION"),
        HeaderCard(f"SFILE{n}", layout.visit_file(star, visit), f"Visit #{n} spectrum file"),
        HeaderCard(f"DATE{n}", visit.date, f"DATE-OBS of visit {n}"),
        HeaderCard(f"JD{n}", visit.julian_date, f"Julian date of visit {n}"),
        HeaderCard(f"FIBER{n}", visit.fiber, f"Fiber, visit {n}"),
        HeaderCard(f"BC{n}", visit.bc, f"Barycentric correction (km/s), visit {n}"),
        *velocities,
        HeaderCard(f"SNRVIS{n}", visit.snr, f"Signal/Noise ratio, visit {n}"),
        HeaderCard(f"FLAG{n}", starflag(visit), f"STARFLAG for visit {n}"),
    ]


def _mean_velocity(visits: list[Visit]) -> float:
    return float(np.average([visit.v_rad for visit in visits], weights=[visit.snr for visit in visits]))


def _to_grid(value: float, step: float) -> float:
    return step * round(value / step)


def _without_nan(card: HeaderCard, layout: Layout) -> HeaderCard:
    """Replace NaN, which FITS headers cannot hold: the SDSS-V writer puts the string, the older ones 0."""
    if not (isinstance(card.value, float) and math.isnan(card.value)):
        return card
    return HeaderCard(card.name, "NaN" if layout.name == "sdss5" else 0.0, card.comment)
