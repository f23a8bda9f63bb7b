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


@pytest.mark.parametrize("width", [50, 60, 80, 100, 120])
def test_no_word_is_broken_in_a_narrow_window(width: int, found: Found) -> None:
    flags = ("E_LOGG_LARGE", "LOGG_UNRELIABLE", "FE_H_UNRELIABLE")
    flagged = [replace(result, flags=flags) for result in found.results[:2]]
    out = io.StringIO()
    show(flagged, PAGE, out, width=width)
    text = out.getvalue()
    lines = text[: text.index("E_LOGG_LARGE:")].splitlines()
    words = text.split()
    for name in flags:
        assert words.count(name) == len(flagged)
    for result in flagged:
        for label in ("teff", "logg", "fe_h"):
            assert value_text(result, label) in text
    assert "…" not in text
    narrow = width < 80
    assert ("not shown" in text) is narrow
    assert (flagged[0].record.star.obj in text) is not narrow
    # Flags have lines of their own where they do not fit beside the labels.
    assert max(len(line) for line in lines if "not shown" not in line) <= width


def test_flags_stay_beside_the_labels_where_there_is_room(found: Found) -> None:
    flagged = [replace(found.results[0], flags=("E_LOGG_LARGE", "LOGG_UNRELIABLE"))]
    beside, below = io.StringIO(), io.StringIO()
    show(flagged, PAGE, beside, width=140)
    show(flagged, PAGE, below, width=80)
    (row,) = (line for line in beside.getvalue().splitlines() if "coadd" in line)
    assert row.rstrip().endswith("E_LOGG_LARGE LOGG_UNRELIABLE")
    assert "\n1: E_LOGG_LARGE LOGG_UNRELIABLE\n" in below.getvalue()
    assert "flags" not in below.getvalue().splitlines()[1]
