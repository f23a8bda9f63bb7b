"""Set result flags in one pass over the labels, compiled by numba.

All conditions are evaluated on the values as the catalogue stores them (float32), so that a reader can recompute
every bit from the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from apnet_fast.recipes.flag_tables import ASTRA_06, ASTRA_06_V2, NO_RESULT_ONLY, PAGE, UNRELIABLE, FlagTable
from apnet_fast.support.compiled import compiled
from apnet_fast.support.errors import UsageError

_PAGE_WARN = PAGE.mask(*PAGE.warn)
_PAGE_BAD = PAGE.mask(*PAGE.bad)
_ASTRA_WARN = ASTRA_06.mask(*ASTRA_06.warn)
_ASTRA_BAD = ASTRA_06.mask(*ASTRA_06.bad)
_NO_RESULT = PAGE.mask("NO_RESULT")
_RUNTIME_EXCEPTION = ASTRA_06.mask("RUNTIME_EXCEPTION")

Flags = tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]


@compiled
def _label_bits(teff, logg, fe_h):  # type: ignore[no-untyped-def]
    """Return the page's bits 0-2 for one set of labels; NaN fails every range."""
    log_teff = math.log10(teff) if teff > 0 else -math.inf
    if math.isnan(teff):
        log_teff = math.nan
    bits = 0
    if not (3.1 <= log_teff <= 4.7):
        bits |= 1
    if not (-1.5 <= logg <= 6.0):
        bits |= 2
    if not (-2.0 <= fe_h <= 0.5) or not (log_teff <= 3.82):
        bits |= 4
    return bits


@compiled
def _pack_page(labels, medians, raw_errors, missing_photometry, knowingly_unreliable, no_result):  # type: ignore[no-untyped-def]
    n = labels.shape[0]
    flags = np.zeros(n, dtype=np.int64)
    warn = np.zeros(n, dtype=np.bool_)
    bad = np.zeros(n, dtype=np.bool_)
    for i in range(n):
        if no_result[i]:
            value = _NO_RESULT
        else:
            value = _label_bits(labels[i, 0], labels[i, 1], labels[i, 2])
            value |= _label_bits(medians[i, 0], medians[i, 1], medians[i, 2]) << 3
            for j in range(3):
                if math.isnan(raw_errors[i, j]):
                    value |= 1 << (3 + j)
            if raw_errors[i, 0] > 0 and math.log10(raw_errors[i, 0]) > 2.7:
                value |= 1 << 6
            if raw_errors[i, 1] > 0.3:
                value |= 1 << 7
            if raw_errors[i, 2] > 0.5:
                value |= 1 << 8
            if missing_photometry[i]:
                value |= 1 << 9
            if knowingly_unreliable[i]:
                value |= 1 << 10
        flags[i] = value
        warn[i] = (value & _PAGE_WARN) != 0
        bad[i] = (value & _PAGE_BAD) != 0
    return flags, warn, bad


@compiled
def _pack_astra_06(labels, no_result):  # type: ignore[no-untyped-def]
    n = labels.shape[0]
    flags = np.zeros(n, dtype=np.int64)
    warn = np.zeros(n, dtype=np.bool_)
    bad = np.zeros(n, dtype=np.bool_)
    for i in range(n):
        teff, logg, fe_h = labels[i, 0], labels[i, 1], labels[i, 2]
        if no_result[i]:
            value = _RUNTIME_EXCEPTION
        else:
            value = 0
            # PostgreSQL orders NaN above every number, so NaN exceeds each upper limit.
            if teff < 1700.0 or not (teff <= 100000.0):
                value |= 2
            if logg < -1.0 or not (logg <= 10.0):
                value |= 4
            if teff < 3200.0 or not (logg <= 5.0) or fe_h < -4.0 or not (fe_h <= 2.0):
                value |= 8
        flags[i] = value
        warn[i] = (value & _ASTRA_WARN) != 0
        bad[i] = (value & _ASTRA_BAD) != 0
    return flags, warn, bad


def _stored(values: NDArray) -> NDArray[np.float64]:
    """Round values to the catalogue's float32, and return float64 for exact comparisons."""
    return np.ascontiguousarray(np.asarray(values, dtype=np.float32), dtype=np.float64)


def pack_page(
    labels: NDArray,
    medians: NDArray,
    raw_errors: NDArray,
    no_result: NDArray[np.bool_],
    missing_photometry: NDArray[np.bool_] | None = None,
    knowingly_unreliable: NDArray[np.bool_] | None = None,
) -> Flags:
    """Return `result_flags`, `flag_warn`, `flag_bad` by the page's 12 bits.

    Parameters
    ----------
    labels: (n, 3) reported teff [K], logg [log10(cm/s^2)], fe_h [dex].
    medians: (n, 3) medians of the draws, same columns.
    raw_errors: (n, 3) raw errors, same columns and units.
    no_result: bool (n,), true for spectra without labels; they carry NO_RESULT and nothing else.
    missing_photometry: bool (n,), for networks that use photometry; default none missing.
    knowingly_unreliable: bool (n,), by `knowingly_unreliable_photometry`; default none.

    Returns
    -------
    int64 (n,), bool (n,), bool (n,).

    Definition: DR19 ApogeeNet page, section Flags; numbers from Astra 0.6.0 ApogeeNetV2.apply_flags.
    """
    none = np.zeros(len(labels), dtype=bool)
    return _pack_page(
        _stored(labels),
        _stored(medians),
        _stored(raw_errors),
        none if missing_photometry is None else missing_photometry,
        none if knowingly_unreliable is None else knowingly_unreliable,
        no_result,
    )


def pack_astra_06_v2(
    labels: NDArray,
    medians: NDArray,
    raw_errors: NDArray,
    no_result: NDArray[np.bool_],
    missing_photometry: NDArray[np.bool_],
    knowingly_unreliable: NDArray[np.bool_],
) -> Flags:
    """Return `result_flags`, `flag_warn`, `flag_bad` as Astra 0.6.0 sets them for ApogeeNet v2, with its two bugs.

    Arguments and results are those of `pack_page`, but `knowingly_unreliable` comes from normalised photometry. NaN
    sets no bit, as in numpy's comparisons. Definition: Astra 0.6.0, `ApogeeNetV2.apply_flags`.
    """
    teff, logg, fe_h = _stored(labels).T
    median_teff, median_logg, median_fe_h = _stored(medians).T
    e_teff, e_logg, e_fe_h = _stored(raw_errors).T
    with np.errstate(divide="ignore", invalid="ignore"):
        log_teff, median_log_teff, log_e_teff = np.log10(teff), np.log10(median_teff), np.log10(e_teff)
    teff_outside = (log_teff < 3.1) | (log_teff > 4.7)
    conditions = (
        teff_outside,
        (logg < -1.5) | (logg > 6),
        (fe_h < -2) | (fe_h > 0.5) | (log_teff > 3.82),
        teff_outside,
        (median_logg < -1.5) | (median_logg > 6),
        (median_fe_h < -2) | (median_fe_h > 0.5) | (median_log_teff > 3.82),
        log_e_teff > 2.7,
        e_logg > 0.3,
        e_fe_h > 0.5,
        missing_photometry,
        knowingly_unreliable,
    )
    value = np.zeros(len(labels), dtype=np.int64)
    for bit, condition in enumerate(conditions):
        value |= condition.astype(np.int64) << bit
    value[no_result] = _NO_RESULT
    return value, (value & _PAGE_WARN) != 0, (value & _PAGE_BAD) != 0


def pack_astra_06(labels: NDArray, no_result: NDArray[np.bool_]) -> Flags:
    """Return `result_flags`, `flag_warn`, `flag_bad` by the 4 bits of the released DR19 file.

    labels: (n, 3) teff [K], logg, fe_h; no_result: bool (n,). Returns int64, bool and bool (n,).
    Definition: Astra 0.6.0, `ApogeeNet.result_flags` and `apply_result_flags`.
    """
    return _pack_astra_06(_stored(labels), no_result)


def pack_no_result(no_result: NDArray[np.bool_]) -> Flags:
    """Set only NO_RESULT (the page's bit 11), which is bad; for recipes that define no flags."""
    return np.where(no_result, _NO_RESULT, 0).astype(np.int64), np.zeros_like(no_result), no_result.copy()


def knowingly_unreliable_photometry(rp_mag: NDArray, h_mag: NDArray, k_mag: NDArray, plx: NDArray) -> NDArray[np.bool_]:
    """Tell which stars have a colour and absolute magnitude whose stellar parameters are not to be trusted.

    Gaia RP, 2MASS H and K [mag] and parallax [mas], each (n,). Condition of RESULT_UNRELIABLE:
    RP - K > 2.3 and H - 5 log10(1000 / plx) + 5 > 6 (Astra 0.6.0 ApogeeNetV2, on magnitudes instead of
    the normalised values that its code passes by mistake). False if a value is missing or plx <= 0.
    """
    rp, h, k, parallax = (np.asarray(values, dtype=np.float64) for values in (rp_mag, h_mag, k_mag, plx))
    known = np.isfinite(rp) & np.isfinite(h) & np.isfinite(k) & (parallax > 0)
    distance_modulus = 5 * np.log10(1000 / np.where(known, parallax, 1.0)) - 5
    return known & (rp - k > 2.3) & (h - distance_modulus > 6)


_Packer = Callable[[NDArray, NDArray, NDArray, NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]], Flags]
_PACKERS: dict[str, _Packer] = {
    PAGE.name: pack_page,
    ASTRA_06.name: lambda labels, medians, raw_errors, no_result, missing, unreliable: pack_astra_06(labels, no_result),
    ASTRA_06_V2.name: pack_astra_06_v2,
    NO_RESULT_ONLY.name: lambda labels, medians, raw_errors, no_result, missing, unreliable: pack_no_result(no_result),
}


def pack(
    table: FlagTable,
    labels: NDArray,
    medians: NDArray,
    raw_errors: NDArray,
    no_result: NDArray[np.bool_],
    missing_photometry: NDArray[np.bool_],
    knowingly_unreliable: NDArray[np.bool_],
) -> Flags:
    """Return `result_flags`, `flag_warn`, `flag_bad` by a table's bits; arguments and results as in `pack_page`.

    Raises UsageError for a table that no packer knows.
    """
    if table.name not in _PACKERS:
        raise UsageError("no packer for this flag table", got=repr(table.name), expected=" | ".join(_PACKERS))
    return _PACKERS[table.name](labels, medians, raw_errors, no_result, missing_photometry, knowingly_unreliable)


def mark_worthless(table: FlagTable, flags: Flags, worthless: NDArray[np.bool_]) -> Flags:
    """Return flags that say of the spectra `worthless`, bool (n,), that their labels mean nothing.

    They get `flag_bad`, and RESULT_UNRELIABLE if the table has this bit. No other bit has a meaning that fits.
    """
    value, warn, bad = flags
    if table.knows_unreliable:
        value = value | np.where(worthless, table.mask(UNRELIABLE), 0)
    return value, warn, bad | worthless
