"""The script of docs/cluster.md inside a real Slurm: nodes that fail, requeue and scancel cost no byte."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from apnet_fast.pipeline.run import run
from tests.cluster.processes import alive, wait_until
from tests.cluster.slurm import Slurm, why_not
from tests.pipeline.runs import arguments, catalogue_bytes, stored_record, stored_shards

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_not() is not None, reason=why_not() or "")]

MANY = 60
PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    made = Slurm(tmp_path_factory.mktemp("slurm"))
    yield made
    made.close()


def script(folder: Path, stars: Path, weights: Path, output: Path, *words: str) -> Path:
    """The documented script, made small: two nodes, one task each, quick weights, short shards."""
    (documented,) = re.findall(
        r"^    (#!/bin/bash\n(?:    .*\n)+)", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    text = documented.replace("\n    ", "\n")
    listing = folder / "list.txt"
    listing.write_text("".join(f"{file}\n" for file in sorted(stars.iterdir())))
    small = f"--draws 3 --batch-size 8 --shard-size 1 --device cpu {' '.join(words)}"
    for old, new in (
        (
            "--nodes=4 --ntasks-per-node=4 --gpus-per-task=1 --cpus-per-task=8",
            "--nodes=2 --ntasks-per-node=1 --gpus-per-task=1",
        ),
        ("--time=24:00:00", "--time=10"),
        ("python -m", f"{sys.executable} -m"),
        ("@list.txt", f"@{listing}"),
        ("W.safetensors", str(weights)),
        ("/shared/out", f"{output} {small}"),
    ):
        assert old in text, f"{old} is not in the script of {PAGE.name}"
        text = text.replace(old, new)
    file = folder / "job.sh"
    file.write_text(text.rstrip() + "\n")
    return file


def shards(output: Path) -> int:
    return len(stored_shards(output))


def workers_of(output: Path) -> list[int]:
    """Dask workers of a run, by their scheduler file."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = command.read_bytes().split(b"\0")
        except OSError:
            continue
        ours = any(str(output).encode() in word for word in words)
        if ours and b"srun" not in words[0] and any(word.endswith(b"dask_worker") for word in words):
            found.append(int(command.parent.name))
    return found


def nothing_is_left(output: Path) -> bool:
    """Whether no process of a run is there any more."""
    listed = subprocess.run(["pgrep", "-f", str(output)], capture_output=True, text=True).stdout.split()
    return not [pid for pid in listed if alive(int(pid))]


def test_the_documented_script_as_it_stands(
    slurm: Slurm, stars: Path, small_weights: Path, alone: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    job = slurm.submit(script(tmp_path, stars, small_weights, output))
    slurm.wait(job, "COMPLETED", "FAILED")
    log = (tmp_path / f"slurm-{job}.out").read_text()
    assert slurm.exit_code(job) == 0, log
    assert catalogue_bytes(output) == alone
    assert sum(worker["shards"] for worker in stored_record(output)["workers"]) == 28
    assert not list(output.glob(".cluster-*"))
    wait_until(lambda: nothing_is_left(output), "processes end with the job")


def test_a_worker_is_killed_and_the_others_go_on(
    slurm: Slurm, stars: Path, small_weights: Path, alone: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    job = slurm.submit(script(tmp_path, stars, small_weights, output))
    wait_until(lambda: shards(output) >= 3 and len(workers_of(output)) >= 2, "shards", 180)
    os.kill(workers_of(output)[0], signal.SIGKILL)
    slurm.wait(job, "COMPLETED", "FAILED")
    assert slurm.exit_code(job) == 0, (tmp_path / f"slurm-{job}.out").read_text()
    assert catalogue_bytes(output) == alone
    wait_until(lambda: nothing_is_left(output), "processes end with the job")


def test_asked_to_stop_the_job_queues_itself_again_and_goes_on(
    slurm: Slurm, stars: Path, small_weights: Path, tmp_path: Path
) -> None:
    """As Slurm asks before the time limit; with so many draws that the run is not at its end before."""
    run(arguments([stars], small_weights, tmp_path / "alone", draws=MANY, shard_size=1))
    output = tmp_path / "out"
    job = slurm.submit(script(tmp_path, stars, small_weights, output, f"--draws {MANY}"))
    wait_until(lambda: shards(output) >= 2, "shards", 180)
    slurm.run("scancel", "--batch", "--signal=TERM", job)
    slurm.wait(job, "PENDING", seconds=120)
    log = tmp_path / f"slurm-{job}.out"
    assert "TERM: stopping after this shard" in log.read_text()
    assert not list(output.glob(".cluster-*"))
    assert not list(output.glob("astra*"))
    wait_until(lambda: nothing_is_left(output), "processes end with the job")
    done = shards(output)
    assert 2 <= done < 28
    slurm.start_again(job)
    slurm.wait(job, "COMPLETED", "FAILED", seconds=400)
    assert slurm.exit_code(job) == 0, log.read_text()
    assert f"going on: {done} of 28" in log.read_text()
    assert catalogue_bytes(output) == catalogue_bytes(tmp_path / "alone")


def test_a_requeued_job_goes_on(slurm: Slurm, stars: Path, small_weights: Path, alone: bytes, tmp_path: Path) -> None:
    output = tmp_path / "out"
    job = slurm.submit(script(tmp_path, stars, small_weights, output))
    wait_until(lambda: shards(output) >= 2, "shards", 180)
    slurm.run("scontrol", "requeue", job)
    slurm.wait(job, "PENDING", seconds=120)
    slurm.start_again(job)
    slurm.wait(job, "COMPLETED", "FAILED", seconds=400)
    log = (tmp_path / f"slurm-{job}.out").read_text()
    assert slurm.exit_code(job) == 0, log
    assert "going on: " in log
    assert not list(output.glob(".cluster-*"))
    assert catalogue_bytes(output) == alone
    wait_until(lambda: nothing_is_left(output), "processes end with the job")
