"""Plans: shards of a list, and fingerprints that two runs must share."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from apnet_fast.inputs.words import Inputs
from apnet_fast.networks.checkpoint import load_checkpoint
from apnet_fast.pipeline.plan import ANY_INSTRUCTIONS, MOST_SHARDS, Fingerprint, Plan, make_plan
from apnet_fast.support.errors import UsageError
from tests.pipeline.runs import settings

FINGERPRINT = Fingerprint(
    version="1",
    inputs="5 files, sha256 0",
    weights="sha256 1",
    network="v3",
    recipe="dr19",
    draws=20,
    seed=0,
    engine="cpu",
    device="cpu",
    precision="fp32",
    tuning="",
    spectra="both",
    shard_size=2,
    catalog="",
    instructions="",
)


def test_files_are_cut_into_shards_in_order() -> None:
    plan = Plan(tuple("abcde"), 2, FINGERPRINT)
    assert plan.shards == 3
    assert [plan.files_of(shard) for shard in range(3)] == [("a", "b"), ("c", "d"), ("e",)]


@pytest.mark.parametrize("field", [field.name for field in fields(Fingerprint)])
def test_each_part_of_the_fingerprint_counts_and_is_named(field: str) -> None:
    value = getattr(FINGERPRINT, field)
    other = replace(FINGERPRINT, **{field: value + 1 if isinstance(value, int) else value + "x"})
    # Every shard says with which instruction set it was computed.
    assert (other.digest != FINGERPRINT.digest) is (field != "instructions")
    with pytest.raises(UsageError, match=rf"{field} was .* and is ") as refused:
        other.check_same(FINGERPRINT.as_dict(), "out")
    assert "--restart" in str(refused.value)
    FINGERPRINT.check_same(FINGERPRINT.as_dict(), "out")


def test_a_plan_names_what_its_labels_depend_on(small_weights: Path, tmp_path: Path) -> None:
    given = settings(["a.fits"], small_weights, tmp_path, device="cpu,cpu", seed=4)
    checkpoint = load_checkpoint(small_weights)
    plan = make_plan(given, Inputs(("a.fits", "b.fits", "c.fits")), checkpoint)
    assert (plan.shards, plan.fingerprint.seed, plan.fingerprint.device) == (2, 4, "cpu")
    assert plan.fingerprint.weights == f"sha256 {checkpoint.sha256}"
    # Another list of as many files is another run.
    assert make_plan(given, Inputs(("a.fits", "b.fits", "d.fits")), checkpoint).fingerprint != plan.fingerprint


def test_a_run_that_may_mix_instruction_sets_goes_on_with_any() -> None:
    any_set = replace(FINGERPRINT, instructions=ANY_INSTRUCTIONS)
    any_set.check_same(FINGERPRINT.as_dict() | {"instructions": "torch AVX2"}, "out")
    with pytest.raises(UsageError, match="seed was 0 and is 1"):
        replace(any_set, seed=1).check_same(FINGERPRINT.as_dict(), "out")


@pytest.mark.parametrize(
    ("files", "asked", "size"), [(7, 2, 2), (MOST_SHARDS * 2, 2, 2), (MOST_SHARDS * 2 + 1, 2, 3), (40_001, 1, 9)]
)
def test_a_run_has_so_many_shards_at_most(
    files: int, asked: int, size: int, small_weights: Path, tmp_path: Path
) -> None:
    given = settings(["a.fits"], small_weights, tmp_path, shard_size=asked)
    plan = make_plan(given, Inputs(tuple(map(str, range(files)))), load_checkpoint(small_weights))
    assert (plan.shard_size, plan.fingerprint.shard_size) == (size, size)
    assert plan.shards <= MOST_SHARDS
