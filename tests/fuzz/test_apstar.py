"""Mutated apStar files: both readers give one verdict, and no wrong pixel is accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from apnet_fast.spectra import direct, fits_library, layout, library
from tests.fuzz.apstar import KINDS, Trial, hdus_of, mutants, originals


def test_two_thousand_mutants(tmp_path: Path) -> None:
    trial = Trial(str(tmp_path))
    assert trial.run(2000, seed=1) == []
    # Most are refused, but not all: a reader that refuses everything would pass the test above.
    assert trial.counts["read"] > 300
    assert trial.counts["bad_layout"] > 300
    assert trial.counts["truncated"] > 50


def test_originals_are_read_and_every_kind_is_tried(tmp_path: Path) -> None:
    trial = Trial(str(tmp_path))
    for original in originals():
        (unchanged,) = [mutant for mutant in [next(mutants([original], 0))] if mutant]
        assert trial.fault(type(unchanged)(original), original) == ""
    assert trial.counts == {"read": len(originals())}
    tried = {what.partition(":")[0] for mutant, _ in zip(mutants(originals(), 2), range(200)) for what in mutant.what}  # noqa: B905
    assert tried == set(KINDS)


@pytest.mark.parametrize("blind", ["places", "values"])
def test_it_notices_readers_that_trust_position_alone(
    blind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if blind == "places":
        layout.misplaced.cache_clear()
        for module in ("direct", "library"):
            monkeypatch.setattr(f"apnet_fast.spectra.{module}.misplaced", lambda *arguments, **words: "")
    else:
        monkeypatch.setattr(library, "_check_values", lambda *arguments: None)
    assert Trial(str(tmp_path)).run(1500, seed=1, most_faults=1)


def test_it_notices_readers_that_obey_odd_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "check_cards", lambda *arguments: None)
    monkeypatch.setattr(library, "_pixels", lambda file, hdu, *arguments, **words: hdu.read())
    faults = Trial(str(tmp_path)).run(300, seed=1, names=["odd form"])
    assert any("accepted with other flux" in fault for fault in faults)


def test_it_notices_a_primary_header_of_two_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "odd_card", lambda header: "")
    faults = Trial(str(tmp_path)).run(300, seed=1, names=["odd form"])
    assert any("two verdicts" in fault for fault in faults)


def test_it_notices_what_a_damaged_file_leaves_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget = fits_library._forget_messages
    monkeypatch.setattr(fits_library, "_forget_messages", lambda: None)
    faults = Trial(str(tmp_path)).run(30, seed=1, names=["lost END"])
    forget()
    assert any("a sound file behind it" in fault for fault in faults)


def test_hdus_fill_a_file() -> None:
    for original in originals():
        hdus = hdus_of(original)
        assert [hdu.start for hdu in hdus[1:]] == [hdu.end for hdu in hdus[:-1]]
        assert hdus[-1].end == len(original)
