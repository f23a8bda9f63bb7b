"""Mutated apStar files: both readers give one verdict, and no wrong pixel is accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from apnet_fast.spectra import layout, library
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


def test_hdus_fill_a_file() -> None:
    for original in originals():
        hdus = hdus_of(original)
        assert [hdu.start for hdu in hdus[1:]] == [hdu.end for hdu in hdus[:-1]]
        assert hdus[-1].end == len(original)
