"""Columns 134 to 183 of the visit product, which describe the visit's spectrum."""

from __future__ import annotations

from apnet_fast.catalog.columns.column import Column

_WHO = "Identifiers"
_PRODUCT = "Data Product Keywords"
_CONDITIONS = "Observing Conditions"
_POINTING = "Telescope Pointing"
_QUALITY = "Statistics and Spectrum Quality"
_DOPPLER = "Radial Velocity (Doppler)"
_XCORR = "Radial Velocity (X-Correlation)"

VISIT_SPECTRUM_COLUMNS: tuple[Column, ...] = (
    Column("spectrum_pk", "K", "Unique spectrum primary key", _WHO),
    Column("source", "K", "Unique source primary key", _WHO),
    Column("star_pk", "K", "APOGEE DRP `star` primary key", _WHO),
    Column("visit_pk", "K", "APOGEE DRP `visit` primary key", _WHO),
    Column("rv_visit_pk", "K", "APOGEE DRP `rv_visit` primary key", _WHO),
    Column("release", "A", "SDSS release", _PRODUCT),
    Column("filetype", "A", "SDSS file type that stores this spectrum", _PRODUCT),
    Column("apred", "A", "APOGEE reduction pipeline", _PRODUCT),
    Column("plate", "A", "Plate identifier", _PRODUCT),
    Column("telescope", "A", "Short telescope name", _PRODUCT),
    Column("fiber", "J", "Fiber number", _PRODUCT),
    Column("mjd", "J", "Modified Julian date of observation", _PRODUCT, true_unit="d"),
    Column("field", "A", "Field identifier", _PRODUCT),
    Column("prefix", "A", "Prefix used to separate SDSS 4 north/south", _PRODUCT),
    Column("reduction", "A", "An `obj`-like keyword used for apo1m spectra", _PRODUCT),
    Column("obj", "A", "Object name", _PRODUCT),
    Column("date_obs", "A", "Observation date (UTC)", _CONDITIONS),
    Column("jd", "E", "Julian date at mid-point of visit", _CONDITIONS, true_unit="d"),
    Column("exptime", "E", "Exposure time", _CONDITIONS, "s"),
    Column("dithered", "L", "Fraction of visits that were dithered", _CONDITIONS),
    Column("f_night_time", "E", "Mid obs time as fraction from sunset to sunrise", _CONDITIONS),
    Column("input_ra", "E", "Input right ascension", _POINTING, "deg"),
    Column("input_dec", "E", "Input declination", _POINTING, "deg"),
    Column("n_frames", "J", "Number of frames combined", _POINTING),
    Column("assigned", "J", "FPS target assigned", _POINTING),
    Column("on_target", "J", "FPS fiber on target", _POINTING),
    Column("valid", "J", "Valid FPS target", _POINTING),
    Column("fps", "L", "Fibre positioner used to acquire this data?", _POINTING),
    Column("snr", "E", "Signal-to-noise ratio", _QUALITY),
    Column("spectrum_flags", "K", "Data reduction pipeline flags for this spectrum", _QUALITY, bits=True),
    Column("v_rad", "E", "Barycentric rest frame radial velocity", _DOPPLER, "km/s"),
    Column("v_rel", "E", "Relative velocity", _DOPPLER, "km/s"),
    Column("e_v_rel", "E", "Error on relative velocity", _DOPPLER, "km/s"),
    Column("bc", "E", "Barycentric velocity correction applied", _DOPPLER, "km/s"),
    Column("doppler_teff", "E", "Stellar effective temperature", _DOPPLER, "K"),
    Column("doppler_e_teff", "E", "Error on stellar effective temperature", _DOPPLER, "K"),
    Column("doppler_logg", "E", "Surface gravity", _DOPPLER, "log10(cm/s^2)"),
    Column("doppler_e_logg", "E", "Error on surface gravity", _DOPPLER, "log10(cm/s^2)"),
    Column("doppler_fe_h", "E", "[Fe/H]", _DOPPLER, "dex"),
    Column("doppler_e_fe_h", "E", "Error on [Fe/H]", _DOPPLER, "dex"),
    Column("doppler_rchi2", "E", "Reduced chi-square value of DOPPLER fit", _DOPPLER),
    Column("doppler_flags", "K", "DOPPLER flags", _DOPPLER, bits=True),
    Column("xcorr_v_rad", "E", "Barycentric rest frame radial velocity", _XCORR, "km/s"),
    Column("xcorr_v_rel", "E", "Relative velocity", _XCORR, "km/s"),
    Column("xcorr_e_v_rel", "E", "Error on relative velocity", _XCORR, "km/s"),
    Column("ccfwhm", "E", "Cross-correlation function FWHM", _XCORR),
    Column("autofwhm", "E", "Auto-correlation function FWHM", _XCORR),
    Column("n_components", "J", "Number of components in CCF", _XCORR),
    Column("drp_spectrum_pk", "K", "Data Reduction Pipeline spectrum primary key", _XCORR),
    Column("apstar", "A", "Unused DR17 apStar keyword (default: stars)", _XCORR),
)
