"""What each column is, in the words of the Virtual Observatory (UCD1+ 1.4), for TUCD cards and Parquet metadata.

Programs such as TOPCAT find positions, magnitudes and their errors by these words.
"""

# ruff: noqa: SIM905 - names of a kind are read more easily in a line of text than in a list
from __future__ import annotations

_ID, _CODE, _QUALITY, _NUMBER = "meta.id", "meta.code", "meta.code.qual", "meta.number"
_TEFF, _LOGG, _FE_H = "phys.temperature.effective", "phys.gravity", "phys.abund.Fe"
_VELOCITY = "spect.dopplerVeloc"
_EXTINCTION = "phot.color.excess"
_MJD = "time.epoch"

# Errors are derived from these, see `ucd_of`.
_QUANTITIES: dict[str, str] = {
    # Who it is, and why it was observed.
    "sdss_id": "meta.id;meta.main",
    **dict.fromkeys(
        "sdss4_apogee_id gaia_dr2_source_id gaia_dr3_source_id tic_v8_id catalogid catalogid21 catalogid25"
        " catalogid31 source star_pk spectrum_pk visit_pk rv_visit_pk drp_spectrum_pk task_pk source_pk obj"
        " identity".split(),
        _ID,
    ),
    "healpix": "pos.healpix",
    "lead": "meta.id.cross",
    "version_id": "meta.version",
    "n_associated": _NUMBER,
    "n_neighborhood": _NUMBER,
    **dict.fromkeys(
        "sdss5_target_flags sdss4_apogee_target1_flags sdss4_apogee_target2_flags sdss4_apogee2_target1_flags"
        " sdss4_apogee2_target2_flags sdss4_apogee2_target3_flags sdss4_apogee_member_flags"
        " sdss4_apogee_extra_target_flags".split(),
        _CODE,
    ),
    # Where it is, and how it moves.
    "ra": "pos.eq.ra;meta.main",
    "dec": "pos.eq.dec;meta.main",
    "l": "pos.galactic.lon",
    "b": "pos.galactic.lat",
    "plx": "pos.parallax.trig",
    "pmra": "pos.pm;pos.eq.ra",
    "pmde": "pos.pm;pos.eq.dec",
    "gaia_v_rad": _VELOCITY,
    "input_ra": "pos.eq.ra",
    "input_dec": "pos.eq.dec",
    # Photometry.
    "g_mag": "phot.mag;em.opt",
    "bp_mag": "phot.mag;em.opt.B",
    "rp_mag": "phot.mag;em.opt.R",
    "j_mag": "phot.mag;em.IR.J",
    "h_mag": "phot.mag;em.IR.H",
    "k_mag": "phot.mag;em.IR.K",
    "ph_qual": _QUALITY,
    "bl_flg": _CODE,
    "cc_flg": _CODE,
    "w1_mag": "phot.mag;em.IR.3-4um",
    "w1_flux": "phot.flux;em.IR.3-4um",
    "w1_dflux": "stat.error;phot.flux;em.IR.3-4um",
    "w1_frac": "phot.flux;arith.ratio;em.IR.3-4um",
    "w2_mag": "phot.mag;em.IR.4-8um",
    "w2_flux": "phot.flux;em.IR.4-8um",
    "w2_dflux": "stat.error;phot.flux;em.IR.4-8um",
    "w2_frac": "phot.flux;arith.ratio;em.IR.4-8um",
    **dict.fromkeys("w1uflags w2uflags w1aflags w2aflags sqf_4_5 mf4_5 csf".split(), _CODE),
    "mag4_5": "phot.mag;em.IR.4-8um",
    "d4_5m": "stat.error;phot.mag;em.IR.4-8um",
    "rms_f4_5": "stat.stdev;phot.flux.density;em.IR.4-8um",
    "c_star": "stat.fit.goodness",
    **{f"{band}_jkc_mag": f"phot.mag;em.opt.{band.upper()}" for band in "ubvri"},
    "u_sdss_mag": "phot.mag;em.opt.U",
    "g_sdss_mag": "phot.mag;em.opt.B",
    "r_sdss_mag": "phot.mag;em.opt.R",
    "i_sdss_mag": "phot.mag;em.opt.I",
    "z_sdss_mag": "phot.mag;em.opt.I",
    "y_ps1_mag": "phot.mag;em.IR",
    **dict.fromkeys(
        [*(f"{band}_jkc_mag_flag" for band in "ubvri"), *(f"{band}_sdss_mag_flag" for band in "ugriz")], _QUALITY
    ),
    "y_ps1_mag_flag": _QUALITY,
    # Parameters, distances and reddening from elsewhere.
    "zgr_teff": _TEFF,
    "zgr_logg": _LOGG,
    "zgr_fe_h": _FE_H,
    "zgr_e": _EXTINCTION,
    "zgr_plx": "pos.parallax",
    "zgr_teff_confidence": f"stat.probability;{_TEFF}",
    "zgr_logg_confidence": f"stat.probability;{_LOGG}",
    "zgr_fe_h_confidence": f"stat.probability;{_FE_H}",
    "zgr_ln_prior": "stat.likelihood",
    "zgr_chi2": "stat.fit.chi2",
    "zgr_quality_flags": _QUALITY,
    "r_med_geo": "pos.distance;stat.median",
    "r_lo_geo": "pos.distance;stat.min",
    "r_hi_geo": "pos.distance;stat.max",
    "r_med_photogeo": "pos.distance;stat.median",
    "r_lo_photogeo": "pos.distance;stat.min",
    "r_hi_photogeo": "pos.distance;stat.max",
    "bailer_jones_flags": _QUALITY,
    **dict.fromkeys(
        "ebv ebv_zhang_2023 ebv_sfd ebv_rjce_glimpse ebv_rjce_allwise ebv_bayestar_2019 ebv_edenhofer_2023".split(),
        _EXTINCTION,
    ),
    "ebv_flags": _CODE,
    # Observations.
    **dict.fromkeys(
        "n_boss_visits n_apogee_visits n_entries n_visits n_good_visits n_good_rvs n_frames n_components".split(),
        _NUMBER,
    ),
    **dict.fromkeys("boss_min_mjd boss_max_mjd apogee_min_mjd apogee_max_mjd min_mjd max_mjd mjd jd".split(), _MJD),
    "date_obs": _MJD,
    "exptime": "time.duration;obs.exposure",
    "f_night_time": "time.phase",
    "release": "meta.version",
    "filetype": "meta.code.class",
    "apred": "meta.version",
    "apstar": "meta.code",
    "telescope": "instr.tel",
    "field": "meta.id;obs.field",
    "prefix": _CODE,
    "plate": "meta.id;instr",
    "fiber": "meta.id;instr",
    "mean_fiber": "meta.id;instr;stat.mean",
    "std_fiber": "stat.stdev;instr",
    "reduction": _ID,
    "dithered": "obs.param",
    **dict.fromkeys("assigned on_target valid fps in_stack".split(), "meta.code.status"),
    "snr": "stat.snr",
    "spectrum_flags": _QUALITY,
    # Radial velocities.
    "v_rad": _VELOCITY,
    "v_rel": _VELOCITY,
    "bc": _VELOCITY,
    "std_v_rad": f"stat.stdev;{_VELOCITY}",
    "median_e_v_rad": f"stat.error;{_VELOCITY};stat.median",
    "doppler_teff": _TEFF,
    "doppler_logg": _LOGG,
    "doppler_fe_h": _FE_H,
    "doppler_rchi2": "stat.fit.chi2",
    "doppler_flags": _QUALITY,
    "xcorr_v_rad": _VELOCITY,
    "xcorr_v_rel": _VELOCITY,
    "ccfwhm": "spect.line.width",
    "autofwhm": "spect.line.width",
    # Results.
    "v_astra": "meta.version;meta.software",
    "created": "time.creation",
    "t_elapsed": "time.duration",
    "t_overhead": "time.duration",
    "tag": "meta.note",
    "teff": f"{_TEFF};meta.main",
    "logg": f"{_LOGG};meta.main",
    "fe_h": f"{_FE_H};meta.main",
    "teff_sample_median": f"{_TEFF};stat.median",
    "logg_sample_median": f"{_LOGG};stat.median",
    "fe_h_sample_median": f"{_FE_H};stat.median",
    "result_flags": _QUALITY,
    "flag_warn": _QUALITY,
    "flag_bad": _QUALITY,
    # Provenance.
    "path": "meta.ref;meta.file",
    "file_row": "meta.record",
    "starver": "meta.version",
    "reason": "meta.note",
    "source_match": "meta.id.cross",
    "flags_from": "meta.ref",
    "v_rad_from": "meta.ref",
}


def ucd_of(name: str) -> str:
    """Return the UCD of a column. That of an error is "stat.error" and the UCD of its quantity.

    Raises KeyError for a column that is not listed here.
    """
    if name in _QUANTITIES:
        return _QUANTITIES[name]
    # e_teff, raw_e_teff and zgr_e_teff are errors of teff and zgr_teff.
    quantity = f"_{name.removeprefix('raw_')}".replace("_e_", "_", 1)[1:]
    if quantity == name.removeprefix("raw_"):
        raise KeyError(name)
    return f"stat.error;{_QUANTITIES[quantity].removesuffix(';meta.main')}"
