"""Names of our columns in the survey's summary tables.

Tables of Astra (mwmAllStar, mwmAllVisit, astraAll*) have our names. Those of the reduction pipelines do not: DR17's
allStar and allVisit, and allStar and allVisit of SDSS-V (apogee_drp 1.x). Sources: data models and database schemas
of DR17 and DR19, which give the units below.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from apnet_fast.spectra.batch import Product


@dataclass(frozen=True)
class Foreign:
    """A column of a foreign table that holds one of ours.

    unit: of its values, which is that of our column. gaia: digit that the row's `gaia_release` must contain ("" for
    any): SDSS-V tables have Gaia values of the release in use when a star was observed.
    """

    ours: str
    name: str
    unit: str = ""
    gaia: str = ""


@dataclass(frozen=True)
class Family:
    """Tables of one origin, recognised by their columns: they have all of at least one set of `marks`.

    columns: the foreign columns of a table of stars and of a table of visits.
    """

    name: str
    marks: tuple[frozenset[str], ...]
    columns: dict[Product, tuple[Foreign, ...]]


_LOGG = "log10(cm/s^2)"

_RV_MODEL = (
    Foreign("doppler_teff", "rv_teff", "K"),
    Foreign("doppler_logg", "rv_logg", _LOGG),
    Foreign("doppler_fe_h", "rv_feh", "dex"),
)

_VISIT = (
    *_RV_MODEL,
    Foreign("fiber", "fiberid"),
    Foreign("date_obs", "dateobs"),
    Foreign("input_ra", "ra", "deg"),
    Foreign("input_dec", "dec", "deg"),
    Foreign("spectrum_flags", "starflag"),
    Foreign("v_rel", "vrel", "km/s"),
    Foreign("e_v_rel", "vrelerr", "km/s"),
    Foreign("xcorr_v_rel", "xcorr_vrel", "km/s"),
    Foreign("xcorr_e_v_rel", "xcorr_vrelerr", "km/s"),
)

_STAR = (
    *_RV_MODEL,
    Foreign("n_visits", "nvisits"),
    Foreign("mean_fiber", "meanfib"),
    Foreign("std_fiber", "sigfib"),
    Foreign("spectrum_flags", "starflag"),
    Foreign("e_v_rad", "verr", "km/s"),
    Foreign("std_v_rad", "vscatter", "km/s"),
    Foreign("autofwhm", "rv_autofwhm"),
)

_SOURCE = (
    Foreign("l", "glon", "deg"),
    Foreign("b", "glat", "deg"),
)

_SDSS4_TARGETING = (
    Foreign("sdss4_apogee_target1_flags", "apogee_target1"),
    Foreign("sdss4_apogee_target2_flags", "apogee_target2"),
    Foreign("sdss4_apogee2_target1_flags", "apogee2_target1"),
    Foreign("sdss4_apogee2_target2_flags", "apogee2_target2"),
    Foreign("sdss4_apogee2_target3_flags", "apogee2_target3"),
)

_DR17_SOURCE = (
    *_SOURCE,
    *_SDSS4_TARGETING,
    Foreign("sdss4_apogee_id", "apogee_id"),
    Foreign("sdss4_apogee_member_flags", "memberflag"),
    Foreign("sdss4_apogee_extra_target_flags", "extratarg"),
    # DR3 took over sources, astrometry and, but for small corrections of G, broad-band photometry from EDR3.
    Foreign("gaia_dr3_source_id", "gaiaedr3_source_id"),
    Foreign("plx", "gaiaedr3_parallax", "mas"),
    Foreign("e_plx", "gaiaedr3_parallax_error", "mas"),
    Foreign("pmra", "gaiaedr3_pmra", "mas/yr"),
    Foreign("e_pmra", "gaiaedr3_pmra_error", "mas/yr"),
    Foreign("pmde", "gaiaedr3_pmdec", "mas/yr"),
    Foreign("e_pmde", "gaiaedr3_pmdec_error", "mas/yr"),
    Foreign("gaia_v_rad", "gaiaedr3_dr2_radial_velocity", "km/s"),
    Foreign("gaia_e_v_rad", "gaiaedr3_dr2_radial_velocity_error", "km/s"),
    Foreign("g_mag", "gaiaedr3_phot_g_mean_mag", "mag"),
    Foreign("bp_mag", "gaiaedr3_phot_bp_mean_mag", "mag"),
    Foreign("rp_mag", "gaiaedr3_phot_rp_mean_mag", "mag"),
    Foreign("r_med_geo", "gaiaedr3_r_med_geo", "pc"),
    Foreign("r_lo_geo", "gaiaedr3_r_lo_geo", "pc"),
    Foreign("r_hi_geo", "gaiaedr3_r_hi_geo", "pc"),
    Foreign("r_med_photogeo", "gaiaedr3_r_med_photogeo", "pc"),
    Foreign("r_lo_photogeo", "gaiaedr3_r_lo_photogeo", "pc"),
    Foreign("r_hi_photogeo", "gaiaedr3_r_hi_photogeo", "pc"),
    Foreign("j_mag", "j", "mag"),
    Foreign("e_j_mag", "j_err", "mag"),
    Foreign("h_mag", "h", "mag"),
    Foreign("e_h_mag", "h_err", "mag"),
    Foreign("k_mag", "k", "mag"),
    Foreign("e_k_mag", "k_err", "mag"),
    Foreign("ebv_sfd", "sfd_ebv", "mag"),
)

DR17 = Family(
    name="DR17",
    marks=(frozenset({"apogee_id", "vhelio_avg"}), frozenset({"apogee_id", "vhelio"})),
    columns={
        "star": (
            *_DR17_SOURCE,
            *_STAR,
            Foreign("v_rad", "vhelio_avg", "km/s"),
            Foreign("doppler_rchi2", "rv_chi2"),
            Foreign("ccfwhm", "rv_ccfwhm"),
        ),
        "visit": (
            *_DR17_SOURCE,
            *_VISIT,
            Foreign("v_rad", "vhelio", "km/s"),
            Foreign("doppler_rchi2", "rv_chi2"),
            Foreign("xcorr_v_rad", "xcorr_vhelio", "km/s"),
        ),
    },
)

_DRP_SOURCE = (
    *_SOURCE,
    Foreign("gaia_dr2_source_id", "gaia_sourceid", gaia="2"),
    Foreign("gaia_dr3_source_id", "gaia_sourceid", gaia="3"),
    Foreign("plx", "gaia_plx", "mas"),
    Foreign("e_plx", "gaia_plx_error", "mas"),
    Foreign("pmra", "gaia_pmra", "mas/yr"),
    Foreign("e_pmra", "gaia_pmra_error", "mas/yr"),
    Foreign("pmde", "gaia_pmdec", "mas/yr"),
    Foreign("e_pmde", "gaia_pmdec_error", "mas/yr"),
    Foreign("g_mag", "gaia_gmag", "mag", gaia="3"),
    Foreign("bp_mag", "gaia_bpmag", "mag", gaia="3"),
    Foreign("rp_mag", "gaia_rpmag", "mag", gaia="3"),
    Foreign("j_mag", "jmag", "mag"),
    Foreign("e_j_mag", "jerr", "mag"),
    Foreign("h_mag", "hmag", "mag"),
    Foreign("e_h_mag", "herr", "mag"),
    Foreign("k_mag", "kmag", "mag"),
    Foreign("e_k_mag", "kerr", "mag"),
)

DRP = Family(
    name="SDSS-V",
    marks=(frozenset({"apogee_id", "apred_vers"}),),
    columns={
        "star": (
            *_DRP_SOURCE,
            *_SDSS4_TARGETING,
            *_STAR,
            Foreign("star_pk", "pk"),
            Foreign("min_mjd", "mjdbeg"),
            Foreign("max_mjd", "mjdend"),
            Foreign("n_good_visits", "ngoodvisits"),
            Foreign("n_good_rvs", "ngoodrvs"),
            Foreign("v_rad", "vrad", "km/s"),
            Foreign("median_e_v_rad", "vmederr", "km/s"),
            Foreign("doppler_e_teff", "rv_tefferr", "K"),
            Foreign("doppler_e_logg", "rv_loggerr", _LOGG),
            Foreign("doppler_e_fe_h", "rv_feherr", "dex"),
            Foreign("doppler_rchi2", "chisq"),
            Foreign("ccfwhm", "rv_ccpfwhm"),
        ),
        "visit": (
            *_DRP_SOURCE,
            *_VISIT,
            Foreign("v_rad", "vrad", "km/s"),
            Foreign("doppler_rchi2", "chisq"),
            Foreign("xcorr_v_rad", "xcorr_vrad", "km/s"),
        ),
    },
)


def family_of(names: Collection[str]) -> Family | None:
    """Return the family of a table with these columns (lower case); None for a table that uses our names."""
    present = set(names)
    for family in (DR17, DRP):
        if any(marks <= present for marks in family.marks):
            return family
    return None
