"""Columns of HDU 2 of Astra 0.6.0's `astraAllStarApogeeNet` and `astraAllVisitApogeeNet`, as `name:form`, in order.

Forms are FITS letters without the width of a text (A: text, B: bytes, E: float32, J: int32, K: int64, L: logical).
"""

from __future__ import annotations

_SOURCE = """
sdss_id:K sdss4_apogee_id:A gaia_dr2_source_id:K gaia_dr3_source_id:K tic_v8_id:K healpix:J lead:A
version_id:J catalogid:K catalogid21:K catalogid25:K catalogid31:K n_associated:J n_neighborhood:J
sdss5_target_flags:B sdss4_apogee_target1_flags:K sdss4_apogee_target2_flags:K
sdss4_apogee2_target1_flags:K sdss4_apogee2_target2_flags:K sdss4_apogee2_target3_flags:K
sdss4_apogee_member_flags:K sdss4_apogee_extra_target_flags:K ra:E dec:E l:E b:E plx:E e_plx:E pmra:E
e_pmra:E pmde:E e_pmde:E gaia_v_rad:E gaia_e_v_rad:E g_mag:E bp_mag:E rp_mag:E j_mag:E e_j_mag:E h_mag:E
e_h_mag:E k_mag:E e_k_mag:E ph_qual:A bl_flg:A cc_flg:A w1_mag:E e_w1_mag:E w1_flux:E w1_dflux:E w1_frac:E
w2_mag:E e_w2_mag:E w2_flux:E w2_dflux:E w2_frac:E w1uflags:K w2uflags:K w1aflags:K w2aflags:K mag4_5:E
d4_5m:E rms_f4_5:E sqf_4_5:K mf4_5:K csf:K zgr_teff:E zgr_e_teff:E zgr_logg:E zgr_e_logg:E zgr_fe_h:E
zgr_e_fe_h:E zgr_e:E zgr_e_e:E zgr_plx:E zgr_e_plx:E zgr_teff_confidence:E zgr_logg_confidence:E
zgr_fe_h_confidence:E zgr_ln_prior:E zgr_chi2:E zgr_quality_flags:K r_med_geo:E r_lo_geo:E r_hi_geo:E
r_med_photogeo:E r_lo_photogeo:E r_hi_photogeo:E bailer_jones_flags:A ebv:E e_ebv:E ebv_flags:K
ebv_zhang_2023:E e_ebv_zhang_2023:E ebv_sfd:E e_ebv_sfd:E ebv_rjce_glimpse:E e_ebv_rjce_glimpse:E
ebv_rjce_allwise:E e_ebv_rjce_allwise:E ebv_bayestar_2019:E e_ebv_bayestar_2019:E ebv_edenhofer_2023:E
e_ebv_edenhofer_2023:E c_star:E u_jkc_mag:E u_jkc_mag_flag:J b_jkc_mag:E b_jkc_mag_flag:J v_jkc_mag:E
v_jkc_mag_flag:J r_jkc_mag:E r_jkc_mag_flag:J i_jkc_mag:E i_jkc_mag_flag:J u_sdss_mag:E u_sdss_mag_flag:J
g_sdss_mag:E g_sdss_mag_flag:J r_sdss_mag:E r_sdss_mag_flag:J i_sdss_mag:E i_sdss_mag_flag:J z_sdss_mag:E
z_sdss_mag_flag:J y_ps1_mag:E y_ps1_mag_flag:J n_boss_visits:J boss_min_mjd:J boss_max_mjd:J
n_apogee_visits:J apogee_min_mjd:J apogee_max_mjd:J
"""

_STAR = """
source:K star_pk:K spectrum_pk:K release:A filetype:A apred:A apstar:A obj:A telescope:A field:A prefix:A
min_mjd:J max_mjd:J n_entries:J n_visits:J n_good_visits:J n_good_rvs:J snr:E mean_fiber:E std_fiber:E
spectrum_flags:K v_rad:E e_v_rad:E std_v_rad:E median_e_v_rad:E doppler_teff:E doppler_e_teff:E
doppler_logg:E doppler_e_logg:E doppler_fe_h:E doppler_e_fe_h:E doppler_rchi2:E doppler_flags:K
xcorr_v_rad:E xcorr_v_rel:E xcorr_e_v_rel:E ccfwhm:E autofwhm:E n_components:J
"""

_VISIT = """
spectrum_pk:K source:K star_pk:K visit_pk:K rv_visit_pk:K release:A filetype:A apred:A plate:A telescope:A
fiber:J mjd:J field:A prefix:A reduction:A obj:A date_obs:A jd:E exptime:E dithered:L f_night_time:E
input_ra:E input_dec:E n_frames:J assigned:J on_target:J valid:J fps:L snr:E spectrum_flags:K v_rad:E
v_rel:E e_v_rel:E bc:E doppler_teff:E doppler_e_teff:E doppler_logg:E doppler_e_logg:E doppler_fe_h:E
doppler_e_fe_h:E doppler_rchi2:E doppler_flags:K xcorr_v_rad:E xcorr_v_rel:E xcorr_e_v_rel:E ccfwhm:E
autofwhm:E n_components:J drp_spectrum_pk:K apstar:A
"""

_RESULTS = """
task_pk:K source_pk:K v_astra:A created:A t_elapsed:E t_overhead:E tag:A teff:E e_teff:E logg:E e_logg:E
fe_h:E e_fe_h:E result_flags:K flag_warn:L flag_bad:L raw_e_teff:E raw_e_logg:E raw_e_fe_h:E
"""

UNITS = {
    "ra": "deg",
    "dec": "deg",
    "t_elapsed": "s",
    "t_overhead": "s",
    "teff": "K",
    "e_teff": "K",
    "raw_e_teff": "K",
    "logg": "log10(cm/s^2)",
    "e_logg": "log10(cm/s^2)",
    "raw_e_logg": "log10(cm/s^2)",
    "fe_h": "dex",
    "e_fe_h": "dex",
    "raw_e_fe_h": "dex",
}
"""Units of those columns this package has too; all others of them have none."""


def _parsed(text: str) -> list[tuple[str, str]]:
    return [(name, form) for name, _, form in (word.partition(":") for word in text.split())]


SOURCES = {"star": _parsed(_SOURCE + _STAR), "visit": _parsed(_SOURCE + _VISIT)}
"""Columns in front of `task_pk`: who and what a spectrum is."""

RESULTS = _parsed(_RESULTS)
"""Columns from `task_pk` to the last, `raw_e_fe_h`, the same in both products."""
