"""Make the tables of velocities and cross-correlation functions that follow the images.

Column names, types and row widths are those of archive files. `snr` is the S/N per pixel of the visit's apVisit
spectrum, as the survey's visit table has it. The correlation functions are Gaussian peaks at each visit's velocity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from apnet_fast.simulate.header_cards import Summary, velocity_error
from apnet_fast.simulate.population import Star

CCF_LENGTHS = {"legacy": 401, "dr17": 765, "sdss5": 801}
DR17_COADD_CCF_LENGTH = 243
CCF_SIGMA_KMS = 13.0
CCF_STEP_KMS = 4.0
CCF_FWHM_KMS = 2.355 * CCF_SIGMA_KMS
TEFF_ERROR, LOGG_ERROR, FE_H_ERROR = 15.0, 0.02, 0.01

_FIT_COLUMNS = ("teff", "tefferr", "logg", "loggerr", "feh", "feherr", "chisq", "bc")


def visit_table(of: Summary) -> NDArray[np.void]:
    """Return HDU 9: one row per visit (dr17: 24,696 bytes; sdss5: 19,644), or one row for all (legacy)."""
    if of.layout.name == "legacy":
        return _legacy_table(of)
    length = CCF_LENGTHS[of.layout.name]
    dtype = _dr17_dtype(length) if of.layout.name == "dr17" else _sdss5_dtype(length)
    table = np.zeros(len(of.visits), dtype)
    for row, visit, snr in zip(table, of.visits, of.visit_snr, strict=True):
        row["filename"] = of.layout.visit_file(of.star, visit)
        _fill(row, of.star, visit.v_rel, visit.v_rad, velocity_error(visit.snr))
        row["snr"], row["bc"] = snr, visit.bc
        if of.layout.name == "dr17":
            row["jd"] = visit.julian_date
    return table


def coadd_table(of: Summary) -> NDArray[np.void]:
    """Return HDU 10 of DR17: one row of 7,992 bytes, the velocity fit of the coadd."""
    table = np.zeros(1, _dr17_dtype(DR17_COADD_CCF_LENGTH))
    _fill(table[0], of.star, 0.0, 0.0, velocity_error(of.snr))
    table["snr"], table["jd"] = of.snr, np.nan
    return table


def _sdss5_dtype(length: int) -> np.dtype[np.void]:
    return np.dtype(
        [
            ("filename", "S300"),
            *((name, "f8") for name in ("snr", "vhelio", "vrel", "vrelerr", *_FIT_COLUMNS)),
            *((name, "f8", (length,)) for name in ("x_ccf", "ccf", "ccferr")),
            *((name, "f8") for name in ("xcorr_vrel", "xcorr_vrelerr", "xcorr_vhelio")),
        ]
    )


def _dr17_dtype(length: int) -> np.dtype[np.void]:
    peak = ("xcorr_vrel", "xcorr_vrelerr", "xcorr_vhelio", "ccpfwhm", "autofwhm")
    return np.dtype(
        [
            ("filename", "S72"),
            *((name, "f8") for name in ("jd", "snr", "vhelio", "vrel", "vrelerr", *_FIT_COLUMNS)),
            *((name, "f8", (length,)) for name in ("x_ccf", "ccf", "ccferr")),
            *((name, "f8") for name in peak),
            ("autoccf", "f8", (length,)),
        ]
    )


def _fill(row: np.void, star: Star, v_rel: float, v_rad: float, v_error: float) -> None:
    velocities = _lags(row["ccf"].size)
    row["vrel"], row["vhelio"], row["vrelerr"] = v_rel, v_rad, v_error
    row["teff"], row["logg"], row["feh"], row["chisq"] = star.teff, star.logg, star.fe_h, 1.0
    row["tefferr"], row["loggerr"], row["feherr"] = TEFF_ERROR, LOGG_ERROR, FE_H_ERROR
    row["x_ccf"], row["ccf"], row["ccferr"] = velocities, _peak(velocities, v_rel), 0.01
    row["xcorr_vrel"], row["xcorr_vhelio"], row["xcorr_vrelerr"] = v_rel, v_rad, v_error
    if "autoccf" in (row.dtype.names or ()):  # DR17 has more columns
        row["ccpfwhm"] = row["autofwhm"] = CCF_FWHM_KMS
        row["autoccf"] = _peak(velocities, 0.0)


def _legacy_dtype(n_visits: int) -> np.dtype[np.void]:
    """Return 33 columns: vectors over visits, CCFs over coadds and visits; 29,508 bytes for six visits."""
    length = CCF_LENGTHS["legacy"]
    per_visit = (n_visits,) if n_visits > 1 else ()
    ccf_shape = (n_visits + 2, length) if n_visits > 1 else (length,)
    variability = ("STABLERV_CHI2", "STABLERV_RCHI2", "CHI2_THRESHOLD", "STABLERV_CHI2_PROB")
    synthetic = ("SYNTHVREL", "SYNTHVHELIO", "SYNTHVRELERR", "OBSVREL", "OBSVHELIO", "OBSVRELERR")
    return np.dtype(
        [
            ("FILE", "S30", per_visit),
            ("FIBER", "i2", per_visit),
            ("PLATE", "S4", per_visit),
            ("MJD", "i4", per_visit),
            ("LOCID", "i2", per_visit),
            ("JD", "f8", per_visit),
            *((name, "f4", per_visit) for name in ("VREL", "VRELERR", "VHELIO", "BC")),
            ("BINARY", "i2", (2,)),
            *((name, "f4", (2,)) for name in variability),
            *((name, "f4") for name in ("TEFF", "LOGG", "FEH", "ALPHA", "CARBON")),
            *((name, "f4", per_visit) for name in ("CHISQ", *synthetic)),
            ("CCF", "f4", ccf_shape),
            ("CCFERR", "f4", ccf_shape),
            ("CCFLAG", "f4", (length,)),
            ("CCFW0", "f8"),
            ("CCFDW", "f8"),
            ("AUTOCF", "f4", (length,)),
        ]
    )


def _legacy_table(of: Summary) -> NDArray[np.void]:
    star, visits, layout = of.star, of.visits, of.layout
    table = np.zeros(1, _legacy_dtype(len(visits)))
    columns: dict[str, list[str] | list[int] | list[float]] = {
        "FILE": [layout.visit_file(star, visit) for visit in visits],
        "FIBER": [visit.fiber for visit in visits],
        "PLATE": [visit.plate for visit in visits],
        "MJD": [visit.mjd for visit in visits],
        "LOCID": [4000 + star.healpix % 1000 for _ in visits],
        "JD": [visit.julian_date for visit in visits],
        "VREL": [visit.v_rel for visit in visits],
        "VRELERR": [velocity_error(visit.snr) for visit in visits],
        "VHELIO": [visit.v_rad for visit in visits],
        "BC": [visit.bc for visit in visits],
    }
    for name, values in columns.items():
        table[name] = np.reshape(values, table[name].shape)
    table["TEFF"], table["LOGG"], table["FEH"] = star.teff, star.logg, star.fe_h
    # Visits are shifted to rest before they enter the file, so each peak is at zero lag.
    table["CCF"] = table["AUTOCF"] = _peak(_lags(CCF_LENGTHS["legacy"]), 0.0)
    table["CCFERR"] = 0.01
    table["CCFDW"] = CCF_STEP_KMS
    return table


def _lags(length: int) -> NDArray[np.float64]:
    """Return the velocities of a correlation function in km/s, centred on zero."""
    return CCF_STEP_KMS * (np.arange(length, dtype=np.float64) - length // 2)


def _peak(velocities: NDArray[np.float64], center: float) -> NDArray[np.float64]:
    return np.exp(-0.5 * ((velocities - center) / CCF_SIGMA_KMS) ** 2)
