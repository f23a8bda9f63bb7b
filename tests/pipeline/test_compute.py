"""A `Computer`: shards in, stored shards out, and the catalog asked once, when it is needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apnet_fast.api import ApogeeNet
from apnet_fast.catalog.sources import SourceMatches, SourceTable
from apnet_fast.engines import NullEngine
from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.networks.checkpoint import load_checkpoint
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.v2 import ArchitectureV2
from apnet_fast.pipeline.compute import Computer
from apnet_fast.pipeline.plan import make_plan
from apnet_fast.pipeline.shards import ShardStore
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.pipeline.work import Done, Work, WorkList
from tests.pipeline.runs import settings


class Counted(SourceTable):
    """A catalog that counts what it is asked."""

    matched: list[int]
    photometry_of: list[int]

    def match(self, records: object) -> SourceMatches:
        matches = super().match(records)  # type: ignore[arg-type]
        self.matched.append(len(matches))
        return matches

    def photometry(self, matches: SourceMatches) -> object:  # type: ignore[override]
        self.photometry_of.append(len(matches))
        return super().photometry(matches)


@pytest.fixture
def catalog() -> Counted:
    """A catalog that knows no star of the tree."""
    table = Counted(pa.table({"obj": ["nobody"], "g_mag": [9.0]}))
    table.matched, table.photometry_of = [], []
    return table


def compute(
    weights: Path, tree: Path, output: Path, catalog: SourceTable | None, *, stop_after: int | None = None
) -> tuple[ShardStore, list[Done], list[int]]:
    """Compute all shards of a tree, three files each; the store, what was counted, and the shards in order."""
    given = settings([tree], weights, output, engine="null", shard_size=3, batch_size=4)
    inputs, checkpoint = resolve_inputs([str(tree)]), load_checkpoint(weights)
    plan = make_plan(given, inputs, checkpoint)
    net = ApogeeNet(NullEngine(checkpoint, given.find_recipe(), device="cpu", precision="fp32"))
    store = ShardStore(output, plan, given.products)
    store.open()
    counted: list[Done] = []
    stored: list[int] = []
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == stop_after

    Computer(
        replace(given, output=output),
        net,
        store,
        StageTimes(),
        sources=catalog,
        work=WorkList(Work(shard, plan.files_of(shard)) for shard in range(plan.shards)),
        on_batch=counted.append,
        on_shard=lambda shard, marker: stored.append(shard),
        stop=stop,
    ).go()
    return store, counted, stored


def test_every_shard_is_stored_in_order(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    store, counted, stored = compute(small_weights, tree, tmp_path, None)
    assert stored == [0, 1, 2]
    assert sum(done.files for done in counted) == 7
    assert sum(done.spectra for done in counted) == 21
    assert sorted(store.finished()) == [0, 1, 2]


def test_a_stop_keeps_what_was_computed(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    assert compute(small_weights, tree, tmp_path, None, stop_after=1)[2] == [0]


def test_without_photometry_the_catalog_is_matched_when_rows_are_written(
    tree: Path, small_weights: Path, catalog: Counted, tmp_path: Path
) -> None:
    store, *_ = compute(small_weights, tree, tmp_path, catalog)
    assert catalog.matched == [9, 9, 3]  # one match per shard
    assert catalog.photometry_of == []
    assert pq.read_table(store.folder / "000000" / "star.parquet")["source_match"].to_pylist() == ["none"] * 3


def test_with_photometry_each_batch_is_matched_once(tree: Path, catalog: Counted, tmp_path: Path) -> None:
    weights = tmp_path / "v2.safetensors"
    random_checkpoint(1, architecture=ArchitectureV2(linear_dim=8)).save(weights)
    _, counted, _ = compute(weights, tree, tmp_path / "out", catalog)
    assert catalog.matched == catalog.photometry_of == [done.spectra for done in counted]
    assert sum(catalog.matched) == 21
