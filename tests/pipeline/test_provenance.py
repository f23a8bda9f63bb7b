"""What a run writes down about itself."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from apnet_fast.inputs.words import Inputs
from apnet_fast.networks.checkpoint import load_checkpoint
from apnet_fast.pipeline.plan import make_plan
from apnet_fast.pipeline.provenance import machine, provenance_cards, run_record, shards_by_instructions
from apnet_fast.pipeline.shards import Marker
from apnet_fast.pipeline.summary import RunSummary
from apnet_fast.pipeline.times import StageTimes
from tests.pipeline.runs import settings


def test_the_record_and_the_cards_name_what_labels_depend_on(small_weights: Path, tmp_path: Path) -> None:
    given = settings(["a.fits"], small_weights, tmp_path, seed=3)
    inputs = Inputs(("a.fits",), other_products=("b.fits",), nameless_rows=2)
    checkpoint = load_checkpoint(small_weights)
    plan, now = make_plan(given, inputs, checkpoint), datetime.now(UTC)
    record = run_record(
        settings=given,
        plan=plan,
        checkpoint=checkpoint,
        inputs=inputs,
        catalog=None,
        summary=RunSummary({"star": 1, "visit": 2}, {"no_data": 1}),
        products={},
        instruction_sets={},
        resumed_shards=0,
        workers=[],
        times=StageTimes(),
        started=now,
        finished=now,
    )
    assert record["fingerprint"] == plan.fingerprint.as_dict()
    assert record["rows"] == {"star": 1, "visit": 2}
    assert record["without_result"] == {"no_data": 1}
    assert record["skipped_files"] == {"other_products": 1, "older_versions": [], "rows_without_file": 2}
    assert record["incomplete_photometry"] is None  # v3 uses none
    assert record["spectra_per_second"] is None
    cards = {keyword: value for keyword, value, _ in provenance_cards(plan, given.find_recipe(), checkpoint, "visit")}
    expected = {"PRODUCT": "visit", "RECIPE": "dr19", "SEED": 3, "DRAWS": 3, "NFILES": 1, "FLAGTAB": "page"}
    assert {keyword: cards[keyword] for keyword in expected} == expected
    assert cards["WSHA256"] == record["weights"]["sha256"]
    assert "CSHA256" not in cards


def test_the_machine_is_named() -> None:
    here = machine()
    assert here["cores"] == os.cpu_count()
    assert {"processor", "threads", "python", "torch", "numpy", "numba"} <= set(here)


def test_shards_are_listed_by_the_instruction_set_they_were_computed_with() -> None:
    sets = ["AVX2", "AVX2", "", "AVX512", "AVX2", "AVX512", "AVX512", "AVX512"]
    markers = [Marker("", {}, {}, 0, instructions=name) for name in sets]
    assert shards_by_instructions(markers) == {"AVX2": "0-1, 4", "AVX512": "3, 5-7"}
