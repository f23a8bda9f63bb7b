"""Tier survey: what a whole data release costs beside its computing: plan, resume, assembly, and the scheduler.

Shards are synthetic: rows of simulated stars, again and again, stored as a run stores them. Files of the tree are
empty: a run that finds all its shards reads no spectrum. Both a tenth of the release and all of it are measured.
"""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from apnet_fast.catalog.names import RUN_FILE
from apnet_fast.inputs.changed_files import state_of
from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.networks.checkpoint import load_checkpoint
from apnet_fast.pipeline.arguments import RunArguments
from apnet_fast.pipeline.plan import make_plan
from apnet_fast.pipeline.run import run, run_survey
from apnet_fast.pipeline.settings import resolve_settings
from apnet_fast.pipeline.shards import QUARANTINE, Marker, ShardStore
from apnet_fast.pipeline.team import Job
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.pipeline.work import Done, Work
from benchmarks.inputs import linked_tree, weights
from benchmarks.results import Result

# DR19: files, and rows of coadds and visits per file.
_STARS, _ROWS_OF_A_STAR = 1_100_000, 4.18
_FOLDER_FILES = 1000
_DIFFERENT = 200
_WRITERS = 4
_WORKERS, _SHARDS = 1000, 4600

_RUN_AND_TELL = """
import sys
from apnet_fast.reprocess import app
from benchmarks.results import peak_mb
app(sys.argv[1:], standalone_mode=False)
print(peak_mb())
"""


def measure(folder: Path, repeats: int, stars: int | None = None) -> list[Result]:
    """Measure rates of each step over the whole release, how they compare with a tenth of it, and peak memory.

    repeats: not used; a release is long enough.
    """
    stars = stars or _STARS
    tenth, whole = (_release(folder, max(size, 1)) for size in (stars // 10, stars))
    results = []
    for step, of in (("planning", "files"), ("resuming", "files"), ("catalogues", "rows")):
        rates = [release[of] / release[step] for release in (tenth, whole)]
        more = {f"seconds_at_{release['files']}_files": round(release[step], 1) for release in (tenth, whole)}
        more |= {"rate_of_whole_by_tenth": round(rates[1] / rates[0], 2), of: whole[of]}
        results.append(Result(step, rates[1], f"{of}/s", more))
    more = {f"mb_at_{release['files']}_files": round(release["peak_mb"]) for release in (tenth, whole)}
    results.append(Result("memory, tenth / whole", tenth["peak_mb"] / whole["peak_mb"], "x", more))
    results.append(_overhead(folder, _DIFFERENT))
    results.append(_scheduling(folder, _WORKERS, _SHARDS))
    return results


def _overhead(folder: Path, files: int) -> Result:
    """Measure what a shard costs: a run with a shard for every file, and one with all of them in one."""
    path, _ = weights(folder)
    records = []
    for size in (1, files):
        with tempfile.TemporaryDirectory(dir=folder) as output:
            run_survey(
                linked_tree(folder, files), weights=path, output=output, engine="null", device="cpu", shard_size=size
            )
            records.append(json.loads((Path(output) / RUN_FILE).read_text()))
    many, one = records
    more = {
        f"{step}_ms": round(
            1e3 * (many["stage_seconds"][step]["busy"] - one["stage_seconds"][step]["busy"]) / (files - 1), 1
        )
        for step in ("writing", "catalogues")
    }
    seconds = (many["wall_seconds"] - one["wall_seconds"]) / (files - 1)
    return Result("overhead of a shard", 1 / seconds, "shards/s", {"ms": round(1e3 * seconds, 1), **more})


def _release(folder: Path, stars: int) -> Mapping[str, float]:
    """Run the command over as many files as `stars`, whose shards are all there; return seconds by step, and sizes."""
    tree = _empty_tree(folder, stars)
    path, _ = weights(folder)
    with tempfile.TemporaryDirectory(dir=folder) as output:
        _store_shards(folder, tree, path, Path(output))
        words = [str(tree), "--weights", str(path), "--output", output]
        words += ["--engine", "null", "--device", "cpu", "--readers", "0"]
        said = subprocess.run(
            [sys.executable, "-c", _RUN_AND_TELL, *words], stdout=subprocess.PIPE, text=True, check=True
        )
        record = json.loads((Path(output) / RUN_FILE).read_text())
    steps = {step: record["stage_seconds"][step]["busy"] for step in ("planning", "resuming", "catalogues")}
    sizes = {"files": record["files"], "rows": sum(record["rows"].values()), "shards": record["shards"]}
    return {**steps, **sizes, "peak_mb": float(said.stdout.split()[-1])}


def _empty_tree(folder: Path, stars: int) -> Path:
    """Return a tree of `stars` empty files with names of stars, made once per folder."""
    tree = folder / f"empty-{stars}"
    if tree.exists():
        return tree
    partial = tree.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    for number in range(stars):
        place = partial / f"{number // _FOLDER_FILES:05d}"
        if number % _FOLDER_FILES == 0:
            place.mkdir(parents=True)
        (place / f"apStar-dr17-2M{number:08d}+0000000.fits").touch()
    partial.rename(tree)
    return tree


def _store_shards(folder: Path, tree: Path, path: Path, output: Path) -> None:
    """Store every shard of the run over the tree, as the run would."""
    settings = resolve_settings(RunArguments((str(tree),), path, output, engine="null", device="cpu", readers=0))
    plan = make_plan(settings, resolve_inputs(settings.words), load_checkpoint(path))
    store = ShardStore(output, plan, settings.products, settings.instructions)
    store.open()
    rows = _rows(folder, path)

    def write(shard: int) -> None:
        files = plan.files_of(shard)
        visits = round(len(files) * _ROWS_OF_A_STAR) - len(files)
        tables = {
            "star": _repeated(rows["star"], len(files)),
            "visit": _repeated(rows["visit"], visits),
            QUARANTINE: rows[QUARANTINE],
        }
        store.write(shard, tables, 0, list(map(state_of, files)))

    with ThreadPoolExecutor(_WRITERS) as threads:
        for _ in threads.map(write, range(plan.shards)):
            pass


def _rows(folder: Path, path: Path) -> dict[str, pa.Table]:
    """Return the rows of a shard of a few hundred simulated stars."""
    tree = linked_tree(folder, _DIFFERENT)
    with tempfile.TemporaryDirectory(dir=folder) as output:
        run(RunArguments((str(tree),), path, Path(output), engine="null", device="cpu", shard_size=_DIFFERENT))
        shard = Path(output) / "shards" / "000000"
        return {name: pq.read_table(shard / f"{name}.parquet") for name in ("star", "visit", QUARANTINE)}


def _repeated(table: pa.Table, rows: int) -> pa.Table:
    return pa.concat_tables(repeat(table, -(-rows // table.num_rows))).slice(0, rows).combine_chunks()


def _scheduling(folder: Path, workers: int, shards: int) -> Result:
    """Give out shards that compute nothing to workers that all live in this process."""
    import dask
    from distributed import Client, LocalCluster

    from apnet_fast.cluster.scheduler import quiet
    from apnet_fast.cluster.team import DaskTeam

    class _Nothing(DaskTeam):
        _node = sys.modules[__name__]

    path, checkpoint = weights(folder)
    given = RunArguments((str(linked_tree(folder, _DIFFERENT)),), path, folder / "scheduling", engine="null")
    # Without a limit of memory: a thousandth of this machine's is less than the process has anyway.
    alone = {"processes": False, "memory_limit": 0, "dashboard_address": None, "worker_dashboard_address": None}
    # What a worker watches of its own process and host, all of them would watch here.
    unwatched = {"admin.system-monitor.interval": "1h", "admin.tick.interval": "1h", "worker.profile.enabled": False}
    with (
        quiet(),
        dask.config.set({f"distributed.{name}": value for name, value in unwatched.items()}),
        LocalCluster(n_workers=workers, threads_per_worker=1, **alone) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        team = _Nothing(client)
        settings = team.prepare(given, lambda: None)
        plan = make_plan(settings, resolve_inputs(settings.words), checkpoint)
        job = Job(settings, plan, checkpoint, ShardStore(folder, plan, settings.products), StageTimes())
        done: list[int] = []
        wall, cpu = time.perf_counter(), time.process_time()
        team.go(
            job,
            [Work(shard, plan.files[:1]) for shard in range(shards)],
            on_batch=lambda batch: None,
            on_shard=lambda shard, marker: done.append(shard),
            stop=lambda: False,
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        team.close()
    assert sorted(done) == list(range(shards))
    more = {"workers": workers, "shards": shards, "cpu_ms_per_shard": round(1e3 * cpu / shards, 2)}
    return Result("scheduling, all workers in one process", shards / wall, "shards/s", more)


def prepare(run: str, orders: bytes, share: int, silence: float) -> bytes:
    """Return READY, in place of `cluster.node.prepare`."""
    from apnet_fast.cluster.messages import Kind, Message
    from apnet_fast.cluster.orders import Facts

    return Message(Kind.READY, body=pickle.dumps(Facts(_settings_of(orders), {}, "here", 0))).encoded()


def compute(run: str, shard: int, work: bytes, silence: float) -> bytes:
    """Return DONE at once, in place of `cluster.node.compute`."""
    from apnet_fast.cluster.messages import Kind, Message
    from apnet_fast.cluster.orders import Stored

    stored = Stored(Marker("", {}, {}, 0), Done(shard, 1, 1, 0), StageTimes())
    return Message(Kind.DONE, shard, pickle.dumps(stored)).encoded()


def end(run: str) -> None:
    """Do nothing, in place of `cluster.node.end`."""


_settings: dict[bytes, Any] = {}


def _settings_of(orders: bytes) -> Any:
    if orders not in _settings:
        _settings[orders] = resolve_settings(pickle.loads(orders).arguments)
    return _settings[orders]
