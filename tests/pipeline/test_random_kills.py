"""kill -9 at moments that nobody chose, of a run or of one of its workers: the same command ends as if undisturbed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from apnet_fast.pipeline.run import run
from tests.pipeline.runs import arguments, catalogue_bytes, stored_shards
from tests.pipeline.test_run import command, linked

# By turns of a worker and of the run itself: a device whose workers die too often stops the run, as it should.
_KILLS = 4
_SHARDS_BETWEEN_KILLS, _SECONDS_MORE = 8, 0.1


@pytest.mark.slow
@pytest.mark.skipif(not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="finds workers through /proc")
def test_killed_at_random_it_ends_as_if_undisturbed(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    folder, output = linked(tree, tmp_path / "in", 80), tmp_path / "out"
    run(arguments([folder], small_weights, tmp_path / "clean", engine="null", shard_size=2))
    words = command(folder, small_weights, output, "--device", "cpu,cpu", "--engine", "null")
    # Where a kill falls is the scheduler's choice too; no seed would make it the same again.
    chance = random.Random()
    kills = 0
    for _ in range(_KILLS + 1):
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
            while kills < _KILLS and wait_for_a_moment(process, output, chance):
                whom = process.pid if kills % 2 else chance.choice([*workers_of(process.pid), process.pid])
                with suppress(ProcessLookupError):
                    os.kill(whom, signal.SIGKILL)
                    kills += 1
                if whom == process.pid:
                    break
            _, errors = process.communicate(timeout=120)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, errors
    assert process.returncode == 0, errors
    assert kills
    assert catalogue_bytes(output) == catalogue_bytes(tmp_path / "clean")


def wait_for_a_moment(process: subprocess.Popen[str], output: Path, chance: random.Random) -> bool:
    """Wait until some more shards are there, and a little; False where the run ends before."""
    wanted = shards_of(output) + chance.randrange(_SHARDS_BETWEEN_KILLS)
    while process.poll() is None:
        if workers_of(process.pid) and shards_of(output) >= wanted:
            time.sleep(chance.uniform(0, _SECONDS_MORE))
            return True
        time.sleep(0.005)
    return False


def shards_of(output: Path) -> int:
    """Shards that are finished."""
    return len(stored_shards(output))


def workers_of(parent: int) -> list[int]:
    """Workers that a process has begun, by number."""
    with suppress(OSError):
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [int(child) for child in children if b"spawn_main" in _command_of(child)]
    return []


def _command_of(process: str) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""
