"""The PRIMARY headers of the three generations, card by card in the writers' order.

The legacy list is that of real DR14 (r8) files and the DR17 list that of real DR17 files, without the date of writing
and the HISTORY. The SDSS-V list has those cards of apogee_drp's writer that a reader may want.
"""

from __future__ import annotations

import math

from apnet_fast.simulate.header_cards import HeaderCard, Summary, grid_cards, velocity_error
from apnet_fast.simulate.layouts import star_version
from apnet_fast.simulate.visits import Visit
from apnet_fast.support.grid import PIXELS

MISSING_MAGNITUDE = -9999.990234375
LARGEST_MAGNITUDE = 9999.990234375
SIMULATED = HeaderCard("SIMULATD", True, "Simulated spectrum, not archive data")
"""Every simulated file has this card, which no archive file has."""


def primary_cards(summary: Summary) -> list[HeaderCard]:
    """Return the cards of HDU 0. A value of NaN becomes the string 'NaN' (sdss5) or 0 (the others)."""
    cards = {"legacy": _legacy, "dr17": _dr17, "sdss5": _sdss5}[summary.layout.name](summary)
    history = HeaderCard("HISTORY", SIMULATED.comment)
    return [_without_nan(card, summary.layout.name) for card in (SIMULATED, *cards, history)]


def _legacy(of: Summary) -> list[HeaderCard]:
    star = of.star
    cards = [
        HeaderCard("OBJID", star.obj, "Object ID"),
        HeaderCard("J", star.j_mag, "2MASS J magnitude"),
        HeaderCard("H", star.h_mag, "2MASS H magnitude"),
        HeaderCard("K", star.k_mag, "2MASS Ks magnitude"),
        HeaderCard("AKTARG", 0.05, "Extinction used for targeting"),
        HeaderCard("AKMETHOD", "RJCE_WISE", "Extinction method using for targeting"),
        HeaderCard("AKWISE", 0.05, "WISE all-sky extinction"),
        HeaderCard("SFD_EBV", 0.15, "SFD E(B-V)"),
        HeaderCard("TARG1", 0, "First APOGEE targeting flag (bitwise, see docs)"),
        HeaderCard("TARG2", 0, "Second APOGEE targeting flag (bitwise, see docs)"),
        HeaderCard("TARG3", 0, "Third APOGEE targeting flag (bitwise, see docs)"),
        HeaderCard("SURVEY", "apogee", "Survey name (for targeting flags)"),
        HeaderCard("TELESCOP", star.telescope, "Telescope"),
        HeaderCard("LOCID", 4000 + star.healpix % 1000, "LocationID"),
        HeaderCard("FIELD", star.field, "Field name"),
        HeaderCard("RA", star.ra, "right ascension, deg, J2000"),
        HeaderCard("DEC", star.dec, "declination, deg, J2000"),
        HeaderCard("GLON", of.glon, "galactic longitude, deg, J2000"),
        HeaderCard("GLAT", of.glat, "galactic latitude, deg, J2000"),
        HeaderCard("NVISITS", len(of.visits), "number of visit spectra combined"),
        HeaderCard("COMBTYPE", 0, "velocities used in final combination. (0=VREL,"),
        HeaderCard("COMMENT", "MEAN VALUES:"),
        HeaderCard("VRAD", 0.0, "Doppler shift (km/s) of this spectrum"),
        HeaderCard("VHELIO", of.mean_velocity, "mean heliocentric velocity (km/s)"),
        HeaderCard("VSCATTER", of.velocity_scatter, "STDEV of VHELIO (km/s)"),
        HeaderCard("VERR", velocity_error(of.snr), "weighted error in VHELIO (km/s)"),
        HeaderCard("VERR_MED", of.median_velocity_error, "median error in VHELIO (km/s)"),
        HeaderCard("VLSR", of.mean_velocity, "mean LSR velocity (km/s)"),
        HeaderCard("VGSR", of.mean_velocity, "mean GSR velocity (km/s)"),
    ]
    for prefix, source in (("O", "OBSVHELIO"), ("S", "SYNTHVHELIO")):
        cards += [
            HeaderCard(f"{prefix}VHELIO", of.mean_velocity, f"mean heliocentric velocity (km/s) from {source}"),
            HeaderCard(f"{prefix}VERR", velocity_error(of.snr), f"weighted error in {source}"),
            HeaderCard(f"{prefix}VERR_ME", of.median_velocity_error, f"median error of {source} velocity (km/s) from"),
            HeaderCard(f"{prefix}VSCAT", of.velocity_scatter, f"STDEV of {source} (km/s)"),
        ]
    cards += [
        HeaderCard("SYNTHSCA", 0.0, "STDEV of OBSVHELIO-SYNTHVHELIO (km/s)"),
        HeaderCard("SNR", of.snr, "final median Signal/Noise ratio"),
        HeaderCard("STARFLAG", of.starflag, "bitwise OR of individual visit starflags"),
        HeaderCard("ANDFLAG", of.andflag, "bitwise AND of individual visit starflags"),
        HeaderCard("MEANFIB", of.mean_fiber, "S/N weighted mean fiber number"),
        HeaderCard("SIGFIB", of.fiber_scatter, "standard deviation (unweighted) of fiber number"),
        HeaderCard("CHISQ", 1.0, "chi square from mini-grid cross correlation"),
        HeaderCard("RVFEH", _to_grid(star.fe_h, 0.5), "metallicity [Fe/H] from mini-grid cross correlation"),
        HeaderCard("RVTEFF", _to_grid(star.teff, 250.0), "effective temperature (K) from mini-grid cross correlation"),
        HeaderCard("RVLOGG", _to_grid(star.logg, 0.5), "surface gravity (dex) from mini-grid cross correlation"),
        HeaderCard("RVALPH", 0.0, "alpha abundance for mini-grid cross correlation"),
        HeaderCard("RVCARB", 0.0, "carbon abundance for mini-grid cross correlation"),
        HeaderCard("CCPFWHM", 30.0, "FWHM of RV CCF of star with template (km/s)"),
        HeaderCard("AUTOFWHM", 30.0, "FWHM of RV CCF of template with template (km/s)"),
    ]
    from_visit = "from visit mini-grid xcorr"
    for n, visit in enumerate(of.visits, start=1):
        cards += [
            HeaderCard("COMMENT", f"VISIT {n} INFORMATION:"),
            *_visit_file(of, n, visit),
            HeaderCard(f"HJD{n}", visit.julian_date - 2_400_000.0, f"Reduced Heliocentric JD of visit {n}"),
            HeaderCard(f"FIBER{n}", visit.fiber, f"Fiber, visit {n}"),
            HeaderCard(f"BC{n}", visit.bc, f"Barycentric correction (km/s),visit {n}"),
            HeaderCard(f"VTYPE{n}", 1, f"RV type (1=chisq, 2=xcorr) from visit {n}"),
            HeaderCard(f"VRAD{n}", visit.v_rel, f"Doppler shift (km/s) of visit {n}"),
            HeaderCard(f"VERR{n}", velocity_error(visit.snr), "error in VRAD (km/s)"),
            HeaderCard(f"VHELIO{n}", visit.v_rad, f"Heliocentric velocity (km/s), visit {n}"),
            HeaderCard(f"CHISQ{n}", 1.0, "chi square from visit mini-grid xcorr"),
            HeaderCard(f"RVTEFF{n}", _to_grid(star.teff, 250.0), f"effective temperature (K) {from_visit}"),
            HeaderCard(f"RVLOGG{n}", _to_grid(star.logg, 0.5), f"surface gravity (dex) {from_visit}"),
            HeaderCard(f"RVFEH{n}", _to_grid(star.fe_h, 0.5), f"metallicity [Fe/H] {from_visit}"),
            HeaderCard(f"RVALPH{n}", 0.0, f"alpha abundance {from_visit}"),
            HeaderCard(f"RVCARB{n}", 0.0, f"carbon abundance {from_visit}"),
            HeaderCard(f"SNRVIS{n}", of.visit_snr[n - 1], f"Signal/Noise ratio, visit {n}"),
            HeaderCard(f"FLAG{n}", of.flags[n - 1], f"STARFLAG for visit {n}"),
        ]
    wavelengths = HeaderCard("COMMENT", "Wavelength polynomial coefficients (Ang):")
    return [*cards, *of.limits, wavelengths, _n_wave(), *grid_cards("wavelength")]


def _dr17(of: Summary) -> list[HeaderCard]:
    star = of.star
    unknown = ("WASH_M", "WASH_T2", "DDO51", "IRAC_3_6", "IRAC_4_5", "IRAC_5_8", "WISE_4_5", "TARG_4_5")
    targets = ("APTARG1", "APTARG2", "AP2TARG1", "AP2TARG2", "AP2TARG3", "AP2TARG4")
    cards = [
        *grid_cards(),
        _n_wave(),
        HeaderCard("FIELD", star.field, "APOGEE field name"),
        HeaderCard("OBJID", star.obj, "APOGEE object name"),
        HeaderCard("SNR", of.snr, "Median S/N per apStar pixel"),
        HeaderCard("SNREV", of.snr_middle, "Median S/N per apStar pixel in middle chip"),
        *_position(of),
        *_magnitudes(of, ("J", "H", "K"), "{}_ERR"),
        *(HeaderCard(name, MISSING_MAGNITUDE) for name in unknown),
        HeaderCard("AKTARG", 0.05, "Extinction used for targeting"),
        HeaderCard("AKMETHOD", "RJCE_WISE", "Extinction method using for targeting"),
        HeaderCard("AKWISE", 0.05, "WISE all-sky extinction"),
        HeaderCard("SFD_EBV", 0.15, "SFD E(B-V)"),
        *(HeaderCard(name, 0, _target_comment(name)) for name in targets),
        *_flags(of),
        HeaderCard("VHELIO", of.mean_velocity, "S/N weighted mean barycentric RV"),
        HeaderCard("VSCATTER", of.velocity_scatter, "standard deviation of visit RVs"),
        HeaderCard("VERR", velocity_error(of.snr), "weighted error in VHELIO"),
        HeaderCard("VERR_MED", of.median_velocity_error, "median error in VHELIO"),
        *_fit(of),
        HeaderCard("RV_CHI2", 1.0, "chisq from Doppler RV fit"),
        HeaderCard("CCFWHM", 30.0, "FWHM of RV CCF of star with template (km/s)"),
        HeaderCard("AUTOFWHM", 30.0, "FWHM of RV CCF of template with template (km/s)"),
        *_fibers(of),
        HeaderCard("MIN_H", MISSING_MAGNITUDE, "minimum H mag of cohort"),
        HeaderCard("MAX_H", LARGEST_MAGNITUDE, "maximum H mag of cohort"),
        HeaderCard("MIN_JK", MISSING_MAGNITUDE, "minimum J-K of cohort"),
        HeaderCard("MAX_JK", LARGEST_MAGNITUDE, "maximum J-K of cohort"),
        *of.limits,
    ]
    for n, visit in enumerate(of.visits, start=1):
        # The pipeline takes row n + 1. With one visit there is none, so it writes 0 and another comment.
        per_pixel = "Median S/N per apStar pixel,, visit" if of.row_snr[n - 1] else "Median S/N per apStar pixel, visit"
        cards += [
            HeaderCard("COMMENT", f"VISIT {n} INFORMATION"),
            *_visit_file(of, n, visit),
            HeaderCard(f"FIBER{n}", visit.fiber, f"Fiber, visit {n}"),
            HeaderCard(f"BC{n}", visit.bc, f"Barycentric correction (km/s), visit {n}"),
            HeaderCard(f"VRAD{n}", visit.v_rel, f"Radial velocity (km/s) of visit {n}"),
            HeaderCard(f"VERR{n}", velocity_error(visit.snr), "Uncertainty in radial velocity (km/s)"),
            HeaderCard(f"VHELIO{n}", visit.v_rad, f"Barycentric velocity (km/s), visit {n}"),
            HeaderCard(f"SNRVIS{n}", of.row_snr[n - 1], f"{per_pixel} {n}"),
            HeaderCard(f"FLAG{n}", of.flags[n - 1], f"STARFLAG for visit {n}"),
        ]
    return cards


def _sdss5(of: Summary) -> list[HeaderCard]:
    star = of.star
    cards = [
        *grid_cards(),
        HeaderCard("V_APRED", "simulated", "APOGEE software version"),
        HeaderCard("APRED", "1.3", "APOGEE reduction version"),
        HeaderCard("STARVER", star_version(of.visits), "apStar version"),
        HeaderCard("HEALPIX", star.healpix, "HEALPix location"),
        HeaderCard("OBJID", star.obj, "APOGEE object name"),
        HeaderCard("SNR", of.snr, "Median S/N per apStar pixel"),
        *_position(of),
        *_magnitudes(of, ("JMAG", "HMAG", "KMAG"), "{:.1}ERR"),
        HeaderCard("CATID", 27_021_597_000_000_000 + star.healpix, "SDSS-V catalog ID"),
        HeaderCard("PLX", math.nan, "GaiaDR2 parallax"),
        HeaderCard("PMRA", math.nan, "GaiaDR2 proper motion in RA"),
        HeaderCard("PMDEC", math.nan, "GaiaDR2 proper motion in DEC"),
        HeaderCard("GMAG", star.j_mag + 1.2, "GaiaDR2 G magnitude"),
        HeaderCard("CARTON1", "mwm_galactic_core", "SDSS-V carton"),
        HeaderCard("PROGRAM", "mwm_galactic", "SDSS-V program"),
        *_flags(of),
        HeaderCard("VRAD", of.mean_velocity, "S/N weighted mean barycentric RV"),
        HeaderCard("VSCATTER", of.velocity_scatter, "standard deviation of visit RVs"),
        HeaderCard("VERR", velocity_error(of.snr), "weighted error of the mean RV"),
        *_fit(of),
        *_fibers(of),
    ]
    for n, visit in enumerate(of.visits, start=1):
        # In DR17 VRADn is the Doppler shift; here it is the barycentric velocity.
        cards += [
            HeaderCard("COMMENT", f"VISIT {n} INFORMATION"),
            *_visit_file(of, n, visit),
            HeaderCard(f"FIBER{n}", visit.fiber, f"Fiber, visit {n}"),
            HeaderCard(f"BC{n}", visit.bc, f"Barycentric correction (km/s), visit {n}"),
            HeaderCard(f"CHISQ{n}", 1.0, f"Chi-squared of RV fit, visit {n}"),
            HeaderCard(f"VRAD{n}", visit.v_rad, f"Barycentric velocity (km/s), visit {n}"),
            HeaderCard(f"VREL{n}", visit.v_rel, f"Doppler shift (km/s) of visit {n}"),
            HeaderCard(f"SNRVIS{n}", of.visit_snr[n - 1], f"Signal/Noise ratio, visit {n}"),
            HeaderCard(f"FLAG{n}", of.flags[n - 1], f"STARFLAG for visit {n}"),
        ]
    return cards


def _n_wave() -> HeaderCard:
    return HeaderCard("NWAVE", PIXELS, "Number of wavelengths in subsequent HDUs")


def _position(of: Summary) -> list[HeaderCard]:
    return [
        HeaderCard("RA", of.star.ra, "right ascension, deg, J2000"),
        HeaderCard("DEC", of.star.dec, "declination, deg, J2000"),
        HeaderCard("GLON", of.glon, "Galactic longitude"),
        HeaderCard("GLAT", of.glat, "Galactic latitude"),
    ]


def _magnitudes(of: Summary, names: tuple[str, ...], error_name: str) -> list[HeaderCard]:
    """Return the 2MASS magnitudes, each followed by its error, and where H comes from."""
    cards = []
    for name, magnitude in zip(names, (of.star.j_mag, of.star.h_mag, of.star.k_mag), strict=True):
        band = f"2MASS {name[0]} magnitude"
        cards.append(HeaderCard(name, magnitude, band))
        cards.append(HeaderCard(error_name.format(name), 0.02, f"{band} uncertainty"))
    return [*cards, HeaderCard("SRC_H", "2MASS", "source of H magnitude")]


def _target_comment(name: str) -> str:
    """Return the comment of a targeting flag: APTARG1 is APOGEE_TARGET1, AP2TARG1 is APOGEE2_TARGET1."""
    survey, number = name.removeprefix("AP").split("TARG")
    return f"APOGEE{survey}_TARGET{number} targeting flag"


def _flags(of: Summary) -> list[HeaderCard]:
    return [
        HeaderCard("NVISITS", len(of.visits), "Number of visit spectra combined flag"),
        HeaderCard("STARFLAG", of.starflag, "bitwise OR of individual visit starflags"),
        HeaderCard("ANDFLAG", of.andflag, "bitwise AND of individual visit starflags"),
        HeaderCard("N_COMP", 1, "Maximum number of components in RV CCFs"),
    ]


def _fit(of: Summary) -> list[HeaderCard]:
    return [
        HeaderCard("RV_TEFF", of.star.teff, "Effective temperature from RV fit"),
        HeaderCard("RV_LOGG", of.star.logg, "Surface gravity from RV fit"),
        HeaderCard("RV_FEH", of.star.fe_h, "Metallicity from RV fit"),
    ]


def _fibers(of: Summary) -> list[HeaderCard]:
    return [
        HeaderCard("MEANFIB", of.mean_fiber, "S/N weighted mean fiber number"),
        HeaderCard("SIGFIB", of.fiber_scatter, "standard deviation (unweighted) of fiber number"),
        HeaderCard("NRES", " 5.00 4.25 3.50", "number of pixels/resolution used for sinc"),
    ]


def _visit_file(of: Summary, n: int, visit: Visit) -> list[HeaderCard]:
    space = " " if of.layout.name != "legacy" else ""
    return [
        HeaderCard(f"SFILE{n}", of.layout.visit_file(of.star, visit), f"{space}Visit #{n} spectrum file"),
        HeaderCard(f"DATE{n}", visit.date, f"DATE-OBS of visit {n}"),
        HeaderCard(f"JD{n}", visit.julian_date, f"Julian date of visit {n}"),
    ]


def _to_grid(value: float, step: float) -> float:
    return step * round(value / step)


def _without_nan(card: HeaderCard, layout: str) -> HeaderCard:
    """Replace NaN, which FITS headers cannot hold: the SDSS-V writer puts the string, the older ones 0."""
    if not (isinstance(card.value, float) and math.isnan(card.value)):
        return card
    return HeaderCard(card.name, "NaN" if layout == "sdss5" else 0.0, card.comment)
