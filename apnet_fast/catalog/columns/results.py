"""The last columns of both products: ApogeeNet's results, and this package's own provenance."""

from __future__ import annotations

from apnet_fast.catalog.columns.column import Column

_ASTRA = "Astra Metadata"
_LABELS = "Stellar Parameters"
_RAW = "Formal (raw) uncertainties"
_OWN = "Provenance (apnet_fast)"
_LOGG = "log10(cm/s^2)"

_METADATA: tuple[Column, ...] = (
    Column("task_pk", "K", "Task model primary key", _ASTRA),
    Column("source_pk", "K", "Unique source primary key", _ASTRA),
    Column("v_astra", "A", "Astra version", _ASTRA),
    Column("created", "A", "Datetime when task record was created", _ASTRA),
    Column("t_elapsed", "E", "Core-time elapsed on this analysis", _ASTRA, "s"),
    Column("t_overhead", "E", "Estimated core-time spent in overhads", _ASTRA, "s"),  # so spelt in the released file
    Column("tag", "A", "Experiment tag for this result", _ASTRA),
    Column("teff", "E", "Stellar effective temperature", _LABELS, "K"),
    Column("e_teff", "E", "Error on stellar effective temperature", _LABELS, "K"),
    Column("logg", "E", "Surface gravity", _LABELS, _LOGG),
    Column("e_logg", "E", "Error on surface gravity", _LABELS, _LOGG),
    Column("fe_h", "E", "[Fe/H]", _LABELS, "dex"),
    Column("e_fe_h", "E", "Error on [Fe/H]", _LABELS, "dex"),
)

# Astra's ApogeeNet v2 has these between e_fe_h and result_flags.
_MEDIANS: tuple[Column, ...] = (
    Column("teff_sample_median", "E", "Median effective temperature of many draws", _LABELS, "K"),
    Column(
        "logg_sample_median",
        "E",
        "Median surface gravity of many draws",
        _LABELS,
        _LOGG,
        card="Median surface gravity of many draws",
    ),
    Column("fe_h_sample_median", "E", "Median metallicity of many draws", _LABELS, "dex"),
)

_FLAGS_AND_RAW_ERRORS: tuple[Column, ...] = (
    Column("result_flags", "K", "Flags describing the results", _LABELS, bits=True),
    Column("flag_warn", "L", "Warning flag for results", _LABELS),
    Column("flag_bad", "L", "Bad flag for results", _LABELS),
    Column("raw_e_teff", "E", "Raw error on stellar effective temperature", _RAW, "K"),
    Column("raw_e_logg", "E", "Raw error on surface gravity", _RAW, _LOGG),
    Column("raw_e_fe_h", "E", "Raw error on [Fe/H]", _RAW, "dex"),
)

RESULT_COLUMNS = (*_METADATA, *_FLAGS_AND_RAW_ERRORS)

RESULT_COLUMNS_WITH_MEDIANS = (*_METADATA, *_MEDIANS, *_FLAGS_AND_RAW_ERRORS)

OWN_COLUMNS: tuple[Column, ...] = (
    Column("path", "A", "File the spectrum was read from", _OWN),
    Column("file_row", "J", "0-based row in HDU 1 and 2 of that file", _OWN),
    Column("starver", "A", "Version (STARVER) of the star's file", _OWN),
    Column("identity", "A", "What the noise draws are keyed on", _OWN),
    Column("reason", "A", "Why there is no result; empty if there is", _OWN),
    Column("source_match", "A", "What --catalog knows of this spectrum", _OWN),
    Column("flags_from", "A", "Origin of SPECTRUM_FLAGS: table, header, none", _OWN),
    Column("v_rad_from", "A", "Origin of V_RAD: table, header, none", _OWN),
)

OWN_VISIT_COLUMNS: tuple[Column, ...] = (Column("in_stack", "J", "Part of the coadd: 1 yes, 0 no, -1 unknown", _OWN),)
"""Columns of the visit product alone, which later versions of Astra have among those of the spectrum."""
