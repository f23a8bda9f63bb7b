"""Columns 134 to 172 of the star product, which describe the coadded spectrum."""

from __future__ import annotations

from apnet_fast.catalog.columns.column import Column

_OBSERVED = "Observations Summary"
_WHO = "Identifiers"
_PRODUCT = "Data Product Keywords"
_SPAN = "Observing Span"
_VISITS = "Number and Quality of Visits"
_STATISTICS = "Summary Statistics"
_DOPPLER = "Radial Velocity (Doppler)"
_XCORR = "Radial Velocity (X-Correlation)"

STAR_SPECTRUM_COLUMNS: tuple[Column, ...] = (
    Column("source", "K", "Unique source primary key", _OBSERVED),
    Column("star_pk", "K", "APOGEE DRP `star` primary key", _WHO),
    Column("spectrum_pk", "K", "Unique spectrum primary key", _WHO),
    Column("release", "A", "SDSS release", _PRODUCT),
    Column("filetype", "A", "SDSS file type that stores this spectrum", _PRODUCT),
    Column("apred", "A", "APOGEE reduction pipeline", _PRODUCT),
    Column("apstar", "A", "Unused DR17 apStar keyword (default: stars)", _PRODUCT),
    Column("obj", "A", "Object name", _PRODUCT),
    Column("telescope", "A", "Short telescope name", _PRODUCT),
    Column("field", "A", "Field identifier", _PRODUCT),
    Column("prefix", "A", "Prefix used to separate SDSS 4 north/south", _PRODUCT),
    Column("min_mjd", "J", "Minimum MJD of visits", _SPAN, true_unit="d"),
    Column("max_mjd", "J", "Maximum MJD of visits", _SPAN, true_unit="d"),
    Column("n_entries", "J", "apStar entries for this SDSS4_APOGEE_ID", _VISITS),
    Column("n_visits", "J", "Number of APOGEE visits", _VISITS),
    Column("n_good_visits", "J", "Number of 'good' APOGEE visits", _VISITS),
    Column("n_good_rvs", "J", "Number of 'good' APOGEE radial velocities", _VISITS),
    Column("snr", "E", "Signal-to-noise ratio", _STATISTICS),
    Column("mean_fiber", "E", "S/N-weighted mean visit fiber number", _STATISTICS),
    Column("std_fiber", "E", "Standard deviation of visit fiber numbers", _STATISTICS),
    Column("spectrum_flags", "K", "Data reduction pipeline flags for this spectrum", _STATISTICS, bits=True),
    Column("v_rad", "E", "Barycentric rest frame radial velocity", _DOPPLER, "km/s"),
    Column("e_v_rad", "E", "Error on radial velocity", _DOPPLER, "km/s"),
    Column("std_v_rad", "E", "Standard deviation of visit V_RAD", _DOPPLER, "km/s"),
    Column("median_e_v_rad", "E", "Median error in radial velocity", _DOPPLER, "km/s"),
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
)
