"""Signals to a running command: polite ends, quiet ends, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from apnet_fast.pipeline.run import run
from apnet_fast.simulate import simulate_tree
from tests.pipeline.runs import arguments, catalogue_bytes
from tests.pipeline.test_run import command, linked, wait_for_a_shard

_SECONDS_TO_END = 15


def heed() -> None:
    """In a child: heed every signal, also if the tests run under nohup, which makes their children ignore HUP."""
    for how in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
        signal.signal(how, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGHUP, signal.SIGUSR1])
def test_batch_systems_and_lost_terminals_end_a_run_politely(
    how: signal.Signals, small_weights: Path, tmp_path: Path
) -> None:
    tree = simulate_tree(tmp_path / "tree", stars=24, layout="sdss5", visits=1, seed=8)
    output = tmp_path / "out"
    words = command(tree, small_weights, output, "--readers", "1")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heed) as process:
        wait_for_a_shard(output, process)
        os.killpg(process.pid, how)  # as a terminal or Slurm does it: readers get it too
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 4, errors
    assert f"{how.name}: stopping after this shard" in errors
    assert "died" not in errors
    assert "Traceback" not in errors
    run(arguments([tree], small_weights, output))
    run(arguments([tree], small_weights, tmp_path / "clean"))
    assert catalogue_bytes(output) == catalogue_bytes(tmp_path / "clean")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="sees what is loaded through /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_while_it_imports_ends_it_without_a_traceback(
    how: signal.Signals, tree: Path, small_weights: Path, tmp_path: Path
) -> None:
    words = command(tree, small_weights, tmp_path / "out", "--engine", "null")
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        while "numpy" not in Path(f"/proc/{process.pid}/maps").read_text():
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(how)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == -how, errors
    assert errors == ""
    assert not (tmp_path / "out").exists()


def in_group(group: int) -> list[int]:
    """Processes of a process group that run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, member = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(member) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes through /proc")
def test_orphans_end_within_seconds_and_quietly(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    folder, output = linked(tree, tmp_path / "in", 60), tmp_path / "out"
    words = command(folder, small_weights, output, "--device", "cpu,cpu", "--readers", "1")
    with (tmp_path / "said.txt").open("w+") as said:
        process = subprocess.Popen(words, stderr=said, text=True, start_new_session=True)
        wait_for_a_shard(output, process)
        process.kill()
        process.wait()
        deadline = time.monotonic() + _SECONDS_TO_END
        while in_group(process.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        left = in_group(process.pid)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        said.seek(0)
        text = said.read()
    assert left == []
    assert "Traceback" not in text, text
