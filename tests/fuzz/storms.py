"""`python -m tests.fuzz.storms kills|disks|all --number N`: runs that are killed again and again, and full disks.

A run over many small files, with the engine that computes nothing, is disturbed and given again until it ends. Its
catalogues must be those of an undisturbed run. Disks are small file systems in memory; only root may mount them.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from apnet_fast.networks.random import random_checkpoint
from apnet_fast.simulate import simulate_tree
from tests.fuzz.runs import content_of
from tests.fuzz.weights import SMALL
from tests.simulate.simulated_trees import files_of

FILES, STARS, SHARD_SIZE = 60, 4, 2
MOST_KILLS = 8
MOST_TRIES = 4 * MOST_KILLS
SECONDS_FOR_A_RUN = 300.0
SECONDS_FOR_ORPHANS = 20.0
DONE = (0, 3)
"""Exit codes of a run that ended: with results for all spectra, or with some that cannot be used."""


@dataclass(frozen=True)
class Storm:
    """What became of a storm: how often it struck, and what was wrong, "" if nothing."""

    strikes: int
    fault: str


@dataclass(frozen=True)
class Sound:
    """An undisturbed run: its inputs, the seconds it took, the bytes of its output and the rows of its catalogues."""

    inputs: Path
    weights: Path
    seconds: float
    size: int
    content: bytes

    @classmethod
    def make(cls, folder: Path) -> Sound:
        """Run once, undisturbed."""
        sources = files_of(simulate_tree(folder / "tree", stars=STARS, layout="dr17", visits=1, seed=6))
        inputs, weights = folder / "in", folder / "w.safetensors"
        inputs.mkdir()
        for number in range(FILES):
            os.link(sources[number % STARS], inputs / f"apStar-dr17-2M{number:08d}+0000000.fits")
        (inputs / "apStar-dr17-2M99999999+0000000.fits").write_bytes(b"SIMPLE")
        random_checkpoint(seed=1, architecture=SMALL).save(weights)
        made = cls(inputs, weights, 0.0, 0, b"")
        output = folder / "sound"
        began = time.monotonic()
        with made.started(output) as process:
            _, errors = process.communicate(timeout=SECONDS_FOR_A_RUN)
        if process.returncode not in DONE:
            raise RuntimeError(f"the undisturbed run ends with {process.returncode}: {errors}")
        size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
        return cls(inputs, weights, time.monotonic() - began, size, content_of(output))

    @contextmanager
    def started(self, output: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
        """Start the command; a process of its own session, so that its children can be found."""
        words = [str(self.inputs), "--weights", str(self.weights), "--output", str(output), "--engine", "null"]
        words += ["--shard-size", str(SHARD_SIZE), "--draws", "3", *more]
        with subprocess.Popen(
            [sys.executable, "-m", "apnet_fast.reprocess", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
        ) as process:
            yield process


def kill_storm(sound: Sound, output: Path, rng: random.Random, most_kills: int = MOST_KILLS) -> Storm:
    """Kill a run at moments that nobody chose, itself or one of its processes, and give it again until it ends."""
    more = rng.choice([("--device", "cpu"), ("--device", "cpu,cpu"), ("--device", "cpu", "--readers", "2")])
    kills = 0
    for _ in range(MOST_TRIES):
        with sound.started(output, *more) as process:
            if kills < most_kills:
                kills += _kill_once(process, rng.uniform(0.0, 0.8 * sound.seconds), rng)
            try:
                _, errors = process.communicate(timeout=SECONDS_FOR_A_RUN)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return Storm(kills, "a run did not end")
        if not _group_ends(process.pid):
            return Storm(kills, "processes were left behind")
        if process.returncode in DONE:
            return Storm(kills, "" if content_of(output) == sound.content else "another catalogue")
        if process.returncode not in (-signal.SIGKILL, 4):
            return Storm(kills, f"exit code {process.returncode}: {errors[-300:]}")
    return Storm(kills, f"not done after {MOST_TRIES} tries")


def _kill_once(process: subprocess.Popen[str], seconds: float, rng: random.Random) -> bool:
    """Wait, then kill the run or one of its processes; return whether there was something to kill."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
        return False
    victim = rng.choice([process.pid, *_children(process.pid)])
    with suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
        return True
    return False


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _group_ends(group: int) -> bool:
    """Return whether all processes of a group end by themselves."""
    deadline = time.monotonic() + SECONDS_FOR_ORPHANS
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    return False


def full_disk(sound: Sound, folder: Path, rng: random.Random) -> Storm:
    """Run into a disk that is too small, make room and go on, until the run ends."""
    folder.mkdir()
    kilobytes = rng.randrange(8, max(sound.size // 1024, 16))
    strikes = 0
    mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder))
    try:
        for _ in range(MOST_TRIES):
            with sound.started(folder / "out") as process:
                _, errors = process.communicate(timeout=SECONDS_FOR_A_RUN)
            if process.returncode in DONE:
                same = content_of(folder / "out") == sound.content
                return Storm(strikes, "" if same else "another catalogue")
            if process.returncode != 4 or "Traceback" in errors or str(folder) not in errors:
                return Storm(strikes, f"exit code {process.returncode}: {errors[-300:]}")
            strikes += 1
            kilobytes += rng.randrange(8, max(sound.size // 4096, 16))
            mount("-o", f"remount,size={kilobytes}k", str(folder))
        return Storm(strikes, f"not done after {MOST_TRIES} tries")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def mount(*words: str) -> None:
    """Call mount; an error of it is raised."""
    subprocess.run(["mount", *words], check=True, capture_output=True)


def may_mount() -> bool:
    """Return whether this process may mount a file system."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", folder)
        except (OSError, subprocess.CalledProcessError):
            return False
        subprocess.run(["umount", folder], check=True)
        return True


def storms(kind: str, number: int, seed: int) -> list[Storm]:
    """Make storms of a kind, and print each that found a fault."""
    found = []
    with tempfile.TemporaryDirectory(prefix="storms-") as folder:
        sound = Sound.make(Path(folder))
        for count in range(number):
            rng, place = random.Random(f"{seed}/{kind}/{count}"), Path(folder) / f"{kind}{count}"
            storm = kill_storm(sound, place, rng) if kind == "kills" else full_disk(sound, place, rng)
            found.append(storm)
            if storm.fault:
                print(f"{kind} {count}: after {storm.strikes}: {storm.fault}", flush=True)
    return found


def table(found: dict[str, Sequence[Storm]]) -> str:
    """Return the counts as a table in Markdown."""
    lines = ["| storm | runs | strikes | same catalogue | faults |", "| --- | ---: | ---: | ---: | ---: |"]
    for kind, each in found.items():
        faults = sum(bool(storm.fault) for storm in each)
        strikes = sum(storm.strikes for storm in each)
        lines.append(f"| {kind} | {len(each)} | {strikes} | {len(each) - faults} | {faults} |")
    return "\n".join(lines)


def main() -> int:
    """Make the storms; return 1 if one of them found a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.storms", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("kind", choices=["all", "kills", "disks"])
    parser.add_argument("--number", type=int, default=10, help="storms of each kind (10)")
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args()
    found: dict[str, Sequence[Storm]] = {}
    for kind in ("kills", "disks"):
        if words.kind not in ("all", kind):
            continue
        if kind == "disks" and not may_mount():
            print("disks: left out, because only root may mount small disks")
            continue
        found[kind] = storms(kind, words.number, words.seed)
    print(table(found))
    return 1 if any(storm.fault for each in found.values() for storm in each) else 0


if __name__ == "__main__":
    sys.exit(main())
