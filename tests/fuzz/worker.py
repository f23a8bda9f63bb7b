"""A process that tries cases, one after the other, within a limit of memory: one line of JSON in, one out."""

from __future__ import annotations

import importlib
import json
import os
import resource
import shutil
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from apnet_fast.support.errors import ApnetError
from tests.fuzz.case import Kind, Outcome, WrongAnswer, randomness, verdict_of

MEGABYTE = 2**20
MOST_MEGABYTES = 1536
"""Memory that a case may take beyond what the process had before."""
ROOM_MEGABYTES = 4096
"""Address space beyond what the process has: allocators reserve more than they use."""

MODULES = {
    "apstar": "tests.fuzz.apstar_files",
    "mwm": "tests.fuzz.mwm",
    "tables": "tests.fuzz.tables",
    "lists": "tests.fuzz.lists",
    "packs": "tests.fuzz.packs",
    "weights": "tests.fuzz.weights",
    "shards": "tests.fuzz.shards",
    "run_json": "tests.fuzz.run_json",
}


def kind_of(name: str) -> Kind:
    """Return the kind of that name; its module is imported."""
    kind: Kind = importlib.import_module(MODULES[name]).KIND
    return kind


class Trials:
    """The kinds of a process, each prepared once below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._prepared: dict[str, tuple[Kind, Any]] = {}

    def prepare(self, name: str) -> tuple[Kind, Any]:
        """Return a kind and its sound inputs."""
        if name not in self._prepared:
            kind = kind_of(name)
            home = self.folder / name
            home.mkdir(parents=True)
            self._prepared[name] = kind, kind.prepare(home)
        return self._prepared[name]

    def try_case(self, name: str, seed: int, number: int) -> Outcome:
        """Make a case and feed it to the product. Nothing is raised but what ends a process."""
        kind, base = self.prepare(name)
        place = self.folder / "case"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        before, began = _reset_peak(), time.monotonic()
        what = verdict = failure = text = ""
        try:
            case = kind.make(randomness(name, seed, number), base, place)
            what = case.what
            verdict = kind.judge(base, case)
        except ApnetError as error:
            verdict = verdict_of(error)
            if failed := _memory_error_of(error):
                failure, text = "memory", failed
        except WrongAnswer as error:
            failure, text = "wrong", str(error)
        except OSError as error:
            # The command line makes a message of it if it names a file; code that reads inputs must not raise it.
            verdict = f"OSError: {error.strerror}"
            if kind.reads_inputs or error.filename is None:
                failure, text = "traceback", traceback.format_exc()
        except MemoryError:
            failure, text = "memory", traceback.format_exc()
        except Exception:  # noqa: BLE001 (counted, whatever it is)
            failure, text = "traceback", traceback.format_exc()
        seconds = time.monotonic() - began
        megabytes = max(_peak() - before, 0.0)
        if not failure and megabytes > MOST_MEGABYTES:
            failure, text = "memory", f"{megabytes:.0f} MB"
        return Outcome(name, number, what, verdict, failure, text, round(seconds, 3), round(megabytes, 1))


def _memory_error_of(error: BaseException) -> str:
    """Return the text of a MemoryError that an error was made from."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return "".join(traceback.format_exception(cause))
        cause = cause.__cause__
    return ""


def _reset_peak() -> float:
    """Begin a new measurement of the largest memory; return the megabytes in use."""
    with suppress(OSError):  # without it, only growth beyond all earlier cases is seen
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> float:
    return _status("VmHWM")


def _status(name: str) -> float:
    """Return a line of the process's status in megabytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def limit_memory() -> None:
    """Let this process have a little more address space than it has."""
    size = int((_status("VmSize") + ROOM_MEGABYTES) * MEGABYTE)
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))


def main(folder: str) -> None:
    """Answer the lines that come in: prepare a kind, or try one of its cases."""
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    trials = Trials(Path(folder))
    for line in sys.stdin:
        asked = json.loads(line)
        if "number" in asked:
            answer = asdict(trials.try_case(asked["kind"], asked["seed"], asked["number"]))
        else:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            trials.prepare(asked["kind"])
            limit_memory()
            answer = {"prepared": asked["kind"]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
