"""Flags: every bit by its own condition, NaN, boundaries, and the two roles warn and bad."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from apnet_fast.recipes import flag_packers, flag_tables
from apnet_fast.support.errors import UsageError

GOOD = (5000.0, 3.0, -0.1)
SMALL_ERRORS = (50.0, 0.1, 0.05)
NAN = float("nan")


def page(
    labels: tuple[float, ...] = GOOD,
    medians: tuple[float, ...] | None = None,
    raw: tuple[float, ...] = SMALL_ERRORS,
    *,
    no_result: bool = False,
    missing_photometry: bool = False,
    unreliable: bool = False,
) -> tuple[list[str], bool, bool]:
    """Names of the bits, warn and bad of one spectrum."""
    packed = flag_packers.pack_page(
        np.array([labels]),
        np.array([GOOD if medians is None else medians]),
        np.array([raw]),
        np.array([no_result]),
        np.array([missing_photometry]),
        np.array([unreliable]),
    )
    return flag_tables.PAGE.names(int(packed[0][0])), bool(packed[1][0]), bool(packed[2][0])


def test_a_good_spectrum_has_no_flag() -> None:
    assert page() == ([], False, False)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ((10**3.0999, 3.0, 0.0), ["TEFF_UNRELIABLE"]),
        ((10**3.1001, 3.0, 0.0), []),
        ((10**4.6999, 3.0, 0.0), ["FE_H_UNRELIABLE"]),
        ((10**4.7001, 3.0, 0.0), ["TEFF_UNRELIABLE", "FE_H_UNRELIABLE"]),
        ((10**3.8199, 3.0, 0.0), []),
        ((10**3.8201, 3.0, 0.0), ["FE_H_UNRELIABLE"]),
        ((5000.0, -1.501, 0.0), ["LOGG_UNRELIABLE"]),
        ((5000.0, -1.5, 0.0), []),
        ((5000.0, 6.0, 0.0), []),
        ((5000.0, 6.001, 0.0), ["LOGG_UNRELIABLE"]),
        ((5000.0, 3.0, -2.001), ["FE_H_UNRELIABLE"]),
        ((5000.0, 3.0, -2.0), []),
        ((5000.0, 3.0, 0.5), []),
        ((5000.0, 3.0, 0.501), ["FE_H_UNRELIABLE"]),
        ((NAN, 3.0, 0.0), ["TEFF_UNRELIABLE", "FE_H_UNRELIABLE"]),
        ((5000.0, NAN, 0.0), ["LOGG_UNRELIABLE"]),
        ((5000.0, 3.0, NAN), ["FE_H_UNRELIABLE"]),
        ((0.0, 3.0, 0.0), ["TEFF_UNRELIABLE"]),
        ((float("inf"), 3.0, 0.0), ["TEFF_UNRELIABLE", "FE_H_UNRELIABLE"]),
    ],
)
def test_label_ranges_of_the_page(labels: tuple[float, ...], names: list[str]) -> None:
    assert page(labels)[0] == names
    assert page(medians=labels)[0] == [f"E_{name}" for name in names]
    assert page(labels)[2] == bool(names)
    assert page(labels)[1] is False


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        ((501.0, 0.1, 0.05), []),
        ((501.3, 0.1, 0.05), ["E_TEFF_LARGE"]),
        ((50.0, 0.299, 0.05), []),
        # As the catalogue stores it, in float32, 0.3 is a little more than 0.3.
        ((50.0, 0.3, 0.05), ["E_LOGG_LARGE"]),
        ((50.0, 0.1, 0.5), []),
        ((50.0, 0.1, 0.51), ["E_FE_H_LARGE"]),
        ((0.0, 0.0, 0.0), []),
    ],
)
def test_large_errors_warn(raw: tuple[float, ...], names: list[str]) -> None:
    assert page(raw=raw) == (names, bool(names), False)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_an_error_that_is_nan_is_unreliable(which: int) -> None:
    raw = [NAN if i == which else value for i, value in enumerate(SMALL_ERRORS)]
    names, warn, bad = page(raw=tuple(raw))
    assert names == [("E_TEFF_UNRELIABLE", "E_LOGG_UNRELIABLE", "E_FE_H_UNRELIABLE")[which]]
    assert (warn, bad) == (False, True)


def test_photometry_bits() -> None:
    assert page(missing_photometry=True) == (["MISSING_PHOTOMETRY"], True, False)
    assert page(unreliable=True) == (["RESULT_UNRELIABLE"], False, True)


def test_no_result_stands_alone() -> None:
    assert page((NAN, NAN, NAN), (NAN, NAN, NAN), (NAN, NAN, NAN), no_result=True) == (
        ["NO_RESULT"],
        False,
        True,
    )


@pytest.mark.parametrize(
    ("labels", "bits", "warn"),
    [
        ((5000.0, 3.0, 0.0), 0, False),
        ((1699.0, 3.0, 0.0), 2 | 8, True),
        ((100001.0, 3.0, 0.0), 2, False),
        ((5000.0, -1.01, 0.0), 4, False),
        ((5000.0, 5.0, 0.0), 0, False),
        ((5000.0, 5.01, 0.0), 8, True),
        ((5000.0, 10.01, 0.0), 4 | 8, True),
        ((3199.0, 3.0, 0.0), 8, True),
        ((5000.0, 3.0, -4.01), 8, True),
        ((5000.0, 3.0, 2.01), 8, True),
        ((NAN, NAN, NAN), 2 | 4 | 8, True),
    ],
)
def test_astra_table(labels: tuple[float, ...], bits: int, warn: bool) -> None:
    packed = flag_packers.pack_astra_06(np.array([labels]), np.array([False]))
    assert (int(packed[0][0]), bool(packed[1][0]), bool(packed[2][0])) == (bits, warn, bits != 0)


def test_astra_no_result_is_the_exception_bit() -> None:
    packed = flag_packers.pack_astra_06(np.full((1, 3), NAN), np.array([True]))
    assert flag_tables.ASTRA_06.names(int(packed[0][0])) == ["RUNTIME_EXCEPTION"]
    assert packed[2][0]


def test_rows_do_not_mix() -> None:
    labels = np.array([GOOD, (1000.0, 3.0, 0.0), GOOD])
    packed = flag_packers.pack_page(
        labels, np.array([GOOD] * 3), np.array([SMALL_ERRORS] * 3), np.array([False, False, True])
    )
    assert packed[0].tolist() == [0, 1, 2048]
    assert packed[0].dtype == np.int64
    assert packed[1].dtype == packed[2].dtype == np.bool_


def test_no_result_only() -> None:
    packed = flag_packers.pack_no_result(np.array([True, False]))
    assert packed[0].tolist() == [2048, 0]
    assert packed[1].tolist() == [False, False]
    assert packed[2].tolist() == [True, False]


@pytest.mark.parametrize(
    ("rp", "h", "k", "plx", "expected"),
    [
        (12.0, 10.0, 9.6, 20.0, True),  # RP - K = 2.4, M_H = 6.5
        (12.0, 10.0, 9.8, 20.0, False),  # too blue
        (12.0, 10.0, 9.6, 10.0, False),  # too bright
        (NAN, 10.0, 9.6, 20.0, False),
        (12.0, 10.0, 9.6, -3.0, False),
        (12.0, 10.0, 9.6, NAN, False),
    ],
)
def test_knowingly_unreliable_photometry(rp: float, h: float, k: float, plx: float, expected: bool) -> None:
    got = flag_packers.knowingly_unreliable_photometry(np.array([rp]), np.array([h]), np.array([k]), np.array([plx]))
    assert got.tolist() == [expected]


@pytest.mark.parametrize("table", flag_tables.TABLES, ids=lambda table: table.name)
def test_every_table_is_known_and_packed(table: flag_tables.FlagTable) -> None:
    assert flag_tables.known_table(table.name) is table
    none = np.zeros(2, dtype=bool)
    labels, raw = np.array([GOOD] * 2), np.array([SMALL_ERRORS] * 2)
    value, _, bad = flag_packers.pack(table, labels, labels, raw, np.array([False, True]), none, none)
    assert value[0] == 0
    assert table.names(int(value[1])) == [name for name in ("RUNTIME_EXCEPTION", "NO_RESULT") if name in table.bad]
    assert bad.tolist() == [False, True]


@pytest.mark.parametrize("table", flag_tables.TABLES, ids=lambda table: table.name)
def test_worthless_spectra_are_bad_in_every_table(table: flag_tables.FlagTable) -> None:
    plain = np.zeros(2, np.int64), np.zeros(2, bool), np.zeros(2, bool)
    value, warn, bad = flag_packers.mark_worthless(table, plain, np.array([True, False]))
    names = table.names(int(value[0]))
    assert names == ([] if table is flag_tables.ASTRA_06 else ["RESULT_UNRELIABLE"])
    assert (value[1], warn.tolist(), bad.tolist()) == (0, [False, False], [True, False])
    assert ("no bit in result_flags" in table.unreliable_text) == (not names)
    assert ("RESULT_UNRELIABLE" in table.unreliable_text) == bool(names)


def test_photometry_sets_no_bit_of_a_recipe_whose_upstream_has_none() -> None:
    labels, none, one = np.array([GOOD]), np.zeros(1, dtype=bool), np.ones(1, dtype=bool)
    table = flag_tables.NO_RESULT_ONLY
    assert flag_packers.pack(table, labels, labels, labels, none, one, one)[0].tolist() == [0]


def test_a_table_without_a_packer_is_refused() -> None:
    unknown = replace(flag_tables.PAGE, name="page-2")
    labels, none = np.array([GOOD]), np.zeros(1, dtype=bool)
    with pytest.raises(UsageError, match="no packer for this flag table; got 'page-2'"):
        flag_packers.pack(unknown, labels, labels, labels, none, none, none)
