"""Kill runs at their n-th write point, for test_faults, and print what happened, one line per run.

It is a process of its own because each run is a fork of it: quick, and safe before any thread is started. Write
points lie before a file is flushed, before a file or folder is renamed into place, and after that.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from apnet_fast.pipeline.run import run
from apnet_fast.recipes import Predictions, get_recipe
from apnet_fast.spectra import read_apstar
from tests.pipeline.runs import arguments

_FORKS_AT_MOST = 100
# More than the write points of a lock that is taken over, and of one shard or all results.
_AGAIN = 20


def main(tree: str, weights: str, folder: str) -> None:
    """Kill runs at point 1, 2, ... until one ends by itself, each then gone on with; then kill one again and again."""
    _load(tree)
    for point in range(1, _FORKS_AT_MOST):
        output = Path(folder) / f"{point:03d}"
        outcome = _forked(tree, weights, output, point)
        print(output.name, outcome, _forked(tree, weights, output, 0), flush=True)
        if outcome == 0:
            break
    again = Path(folder) / "again"
    for _ in range(_FORKS_AT_MOST):
        outcome = _forked(tree, weights, again, _AGAIN)
        if outcome == 0:
            break
    print(again.name, -signal.SIGKILL, outcome, flush=True)


def _load(tree: str) -> None:
    """Load the compiled functions here, where it is done once; nothing in it starts a thread."""
    flux = read_apstar(str(next(Path(tree).rglob("*.fits"))), ("star",)).flux
    labels = np.ones((len(flux), 3), np.float32)
    predictions = Predictions(labels, np.stack([labels] * 3, axis=1), ("logg", "log_teff", "fe_h"))
    get_recipe("dr19", "v3").summarise(predictions, np.ones(len(flux), bool))


def _forked(tree: str, weights: str, output: Path, point: int) -> int:
    """Exit code of a run that is killed at a write point; of one that is not for 0."""
    child = os.fork()
    if child == 0:
        _die_at(point)
        run(arguments([tree], Path(weights), output, engine="null", spectra="star"))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _die_at(point: int) -> None:
    passed = 0

    def passing() -> None:
        nonlocal passed
        passed += 1
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(function: Callable[..., None], *, behind: bool = False) -> Callable[..., None]:
        def watched(*given: object) -> None:
            passing()
            function(*given)
            if behind:
                passing()

        return watched

    os.fsync = before(os.fsync)
    os.replace = before(os.replace, behind=True)
    os.rename = before(os.rename, behind=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
