"""The table for the eye: labels with errors, flags in words, and why there are none."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from apnet_fast.predict.screen import show, spectrum_name, value_text
from apnet_fast.predict.stars import Found
from apnet_fast.recipes.flag_tables import PAGE


def test_every_spectrum_has_its_line(found: Found) -> None:
    out = io.StringIO()
    show(found.results, PAGE, out)
    lines = [line.split() for line in out.getvalue().splitlines() if line.strip()]
    rows = {line[0]: line for line in lines if line[0].isdigit()}
    assert list(rows) == ["1", "2", "3", "4", "5", "6"]
    first = found.results[0]
    assert rows["1"][1:4] == [first.record.star.obj, "coadd", f"{first.record.snr:.0f}"]
    for label in ("teff", "logg", "fe_h"):
        assert value_text(first, label) in out.getvalue()
    assert rows["3"][-1] == "NO_RESULT"
    assert "NO_RESULT: Spectrum could not be read or used" in out.getvalue()
    assert "3: missing_file: no such file [" in out.getvalue()


def test_flags_are_told_once_in_words_and_only_those_that_occur(found: Found) -> None:
    flagged = [replace(result, flags=("E_LOGG_LARGE", "LOGG_UNRELIABLE")) for result in found.results[:2]]
    out = io.StringIO()
    show(flagged, PAGE, out)
    assert out.getvalue().count("E_LOGG_LARGE: Error on surface gravity is large\n") == 1
    assert out.getvalue().count("LOGG_UNRELIABLE: Surface gravity is unreliable\n") == 1
    assert "TEFF_UNRELIABLE:" not in out.getvalue()
    out = io.StringIO()
    show([replace(found.results[0], flags=())], PAGE, out)
    assert "conditions" not in out.getvalue()
    assert " none" in out.getvalue()


@pytest.mark.parametrize(
    ("label", "value", "error", "expected"),
    [
        ("teff", 4812.4, 30.6, "4812 ± 31"),
        ("logg", 2.499, float("nan"), "2.50"),
        ("fe_h", -0.204, 0.049, "-0.20 ± 0.05"),
        ("fe_h", 0.1, 0.05, "+0.10 ± 0.05"),
        ("teff", float("nan"), float("nan"), "–"),
    ],
)
def test_values_are_written_with_their_errors(
    label: str, value: float, error: float, expected: str, found: Found
) -> None:
    labels = {**found.results[0].labels, label: value, f"e_{label}": error}
    assert value_text(replace(found.results[0], labels=labels), label) == expected


def test_spectra_are_named(found: Found) -> None:
    coadd, visit, _, gone = found.results[:4]
    assert spectrum_name(coadd) == "coadd"
    assert spectrum_name(visit) == f"visit {visit.record.visit.mjd}"
    assert spectrum_name(gone) == "visit"
    nameless = replace(visit.record, visit=replace(visit.record.visit, mjd=-1))
    assert spectrum_name(replace(visit, record=nameless)) == f"visit, row {visit.record.row}"
