"""The battery that every team passes, present and to come: inherit it and say how the team is made.

    class TestMyTeam(TeamBattery):
        options = {"device": "cpu,cpu"}

        @pytest.fixture
        def team(self, ...) -> Iterator[Callable[[], Team]]:
            yield MyTeam
            assert nothing_of_it_runs()

`team` makes a fresh team, as often as it is called. `options` are further arguments of its runs.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from apnet_fast.catalog.names import PRODUCT_NAMES
from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.networks.checkpoint import Checkpoint, load_checkpoint
from apnet_fast.pipeline.plan import make_plan
from apnet_fast.pipeline.run import run
from apnet_fast.pipeline.shards import Marker, ShardStore
from apnet_fast.pipeline.team import Job, Team
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.pipeline.work import Done, Work
from apnet_fast.support.errors import ApnetError, Stopped
from tests.pipeline.runs import arguments, catalogue_bytes, quarantine, stored_record, stored_shards

MakeTeam = Callable[[], Team]


@pytest.fixture(scope="session")
def mixed_inputs(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve names for the tree's stars, and two files that hold none."""
    folder = tmp_path_factory.mktemp("inputs")
    for number, source in enumerate((resolve_inputs([str(tree)]).files * 2)[:12]):
        os.link(source, folder / f"apStar-dr17-2M{number:08d}+0000000.fits")
    (folder / "apStar-dr17-2M00000003+1111111.fits").write_bytes(b"SIMPLE")
    (folder / "apStar-dr17-2M00000007+1111111.fits").write_bytes(b"")
    return folder


@pytest.fixture(scope="session")
def undisturbed(mixed_inputs: Path, small_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run in one process."""
    output = tmp_path_factory.mktemp("undisturbed")
    run(arguments([mixed_inputs], small_weights, output))
    return output


class Teamwork:
    """A team, asked to compute shards without a run around it."""

    def __init__(self, team: Team, mixed_inputs: Path, weights: Path, output: Path, **options: Any) -> None:
        self.team = team
        given = arguments([mixed_inputs], weights, output, **options)
        output.mkdir(exist_ok=True)
        settings = team.prepare(given, lambda: None)
        checkpoint = load_checkpoint(settings.weights)
        plan = make_plan(settings, resolve_inputs(settings.words), checkpoint)
        store = ShardStore(settings.output, plan, settings.products, settings.instructions)
        store.open()
        self.job = Job(settings, plan, checkpoint, store, StageTimes())
        self.batches: list[Done] = []
        self.markers: dict[int, Marker] = {}
        self.stop = threading.Event()

    def go(self, shards: Sequence[int], on_shard: Callable[[int], object] = lambda shard: None) -> None:
        """Compute shards and close the team."""

        def stored(shard: int, marker: Marker) -> None:
            assert shard not in self.markers
            self.markers[shard] = marker
            on_shard(shard)

        try:
            self.team.go(
                self.job,
                [Work(shard, self.job.plan.files_of(shard)) for shard in shards],
                on_batch=self.batches.append,
                on_shard=stored,
                stop=self.stop.is_set,
            )
        finally:
            self.team.close()


class TeamBattery:
    """What every team must do."""

    options: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def team(self) -> MakeTeam:
        """Return what makes a team."""
        raise NotImplementedError("say how this team is made")

    def test_a_run_has_the_bytes_of_one_process(
        self, team: MakeTeam, mixed_inputs: Path, small_weights: Path, undisturbed: Path, tmp_path: Path
    ) -> None:
        summary = run(arguments([mixed_inputs], small_weights, tmp_path, **self.options), team=team())
        assert catalogue_bytes(tmp_path) == catalogue_bytes(undisturbed)
        assert quarantine(tmp_path) == quarantine(undisturbed)
        record, alone = stored_record(tmp_path), stored_record(undisturbed)
        for name in (
            "fingerprint", "rows", "without_result", "spectra_this_run", "shards", "shards_by_instruction_set",
        ):  # fmt: skip
            assert record[name] == alone[name], name
        assert summary.rows == alone["rows"]

    def test_a_catalog_fills_the_same_columns(
        self, team: MakeTeam, mixed_inputs: Path, small_weights: Path, undisturbed: Path, tmp_path: Path
    ) -> None:
        """The table of sources reaches every member."""
        catalog = undisturbed / f"{PRODUCT_NAMES['star']}.parquet"
        run(arguments([mixed_inputs], small_weights, tmp_path / "alone", catalog=catalog))
        run(arguments([mixed_inputs], small_weights, tmp_path / "team", catalog=catalog, **self.options), team=team())
        assert catalogue_bytes(tmp_path / "team") == catalogue_bytes(tmp_path / "alone")
        assert catalogue_bytes(tmp_path / "team") != catalogue_bytes(undisturbed)

    def test_every_shard_is_told_once_and_every_spectrum_counted(
        self, team: MakeTeam, mixed_inputs: Path, small_weights: Path, tmp_path: Path
    ) -> None:
        work = Teamwork(team(), mixed_inputs, small_weights, tmp_path, **self.options)
        work.go(range(7))
        assert sorted(work.markers) == list(range(7))
        assert work.job.store.finished() == work.markers
        counted: Counter[int] = Counter()
        for done in work.batches:
            counted[done.shard] += done.spectra
        for shard, marker in work.markers.items():
            assert counted[shard] == marker.parts["star"].rows + marker.parts["visit"].rows
        assert sum(done.files for done in work.batches) == 14
        assert sum(done.failures for done in work.batches) == sum(marker.failures for marker in work.markers.values())
        assert work.job.times.busy["engine"] > 0

    def test_asked_to_stop_it_ends_with_the_shards_it_has_begun(
        self, team: MakeTeam, mixed_inputs: Path, small_weights: Path, undisturbed: Path, tmp_path: Path
    ) -> None:
        work = Teamwork(team(), mixed_inputs, small_weights, tmp_path, **self.options, shard_size=1)
        work.go(range(14), on_shard=lambda shard: work.stop.set())
        assert 1 <= len(work.markers) < 14
        assert work.job.store.finished() == work.markers
        assert not list(tmp_path.rglob("*.partial"))
        again = Teamwork(team(), mixed_inputs, small_weights, tmp_path, **self.options, shard_size=1)
        again.go(sorted(set(range(14)) - set(work.markers)))
        run(arguments([mixed_inputs], small_weights, tmp_path, shard_size=1))
        assert catalogue_bytes(tmp_path) == catalogue_bytes(undisturbed)

    def test_what_a_count_raises_ends_the_run_and_the_next_goes_on(
        self, team: MakeTeam, mixed_inputs: Path, small_weights: Path, undisturbed: Path, tmp_path: Path
    ) -> None:
        given = arguments([mixed_inputs], small_weights, tmp_path, **self.options, shard_size=1)
        with pytest.raises(Stopped, match="too many spectra without a result"):
            run(
                arguments([mixed_inputs], small_weights, tmp_path, **self.options, shard_size=1, max_failures=0),
                team=team(),
            )
        assert len(stored_shards(tmp_path)) < 14
        run(given, team=team())
        assert catalogue_bytes(tmp_path) == catalogue_bytes(undisturbed)

    def test_weights_that_change_under_the_run_end_it(
        self, team: MakeTeam, mixed_inputs: Path, small_checkpoint: Checkpoint, tmp_path: Path
    ) -> None:
        """What a member cannot load is an error with a name, or the labels are those of the weights of the plan."""
        weights, output = tmp_path / "w.safetensors", tmp_path / "out"
        small_checkpoint.save(weights)
        work = Teamwork(team(), mixed_inputs, weights, output, **self.options)
        weights.write_bytes(b"no weights any more")
        error = self.raised_by(lambda: work.go(range(7)))
        assert error is None or "w.safetensors" in str(error)
        assert error or {marker.run for marker in work.markers.values()} == {work.job.plan.fingerprint.digest}

    @staticmethod
    def raised_by(act: Callable[[], None]) -> ApnetError | None:
        """What an action raises."""
        try:
            act()
        except ApnetError as error:
            return error
        return None
