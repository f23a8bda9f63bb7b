"""A forked process computes like its parent, although neither threads nor OpenMP survive a fork."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from apnet_fast.engines.forks import in_a_sound_thread
from apnet_fast.engines.reference import ReferenceEngine
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import RECIPES
from apnet_fast.support.errors import UsageError
from tests.backends.spectra import small_v2
from tests.engines.battery import ordinary_spectra

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

# Without new threads, or in the thread that forked, the child would never end: the time-out of the parent ends it.
CODE = """
import multiprocessing, sys
import numpy as np, torch
from apnet_fast import ApogeeNet

weights, engine, device = sys.argv[1:]
rng = np.random.default_rng(0)
error = np.full((3, 8575), 5.0, np.float32)
flux = 500 + error * rng.standard_normal(error.shape, np.float32)
net = ApogeeNet.load(weights, engine=engine, device=device)
expected = net.predict(flux, error, draws=3).tobytes()
torch.set_num_threads(2)
torch.exp(torch.randn(4_000_000))  # from here on the process has OpenMP's threads

def child(answers, again):
    mine = ApogeeNet.load(weights, engine=engine, device=device) if again else net
    for _ in range(2):
        answers.put(mine.predict(flux, error, draws=3).tobytes() == expected)

forks = multiprocessing.get_context("fork")
for again in (False, True):
    answers = forks.Queue()
    process = forks.Process(target=child, args=(answers, again))
    process.start()
    print(answers.get(), answers.get())
    process.join()
"""


@pytest.mark.parametrize(
    ("network", "options"),
    [("v3", ("cpu", "cpu")), ("v3", ("reference", "cpu")), ("v3", ("cpu", "cpu,cpu")), ("v2", ("cpu", "cpu"))],
    ids=str,
)
@pytest.mark.slow
def test_a_forked_process_computes_the_same(
    network: str, options: Sequence[str], small_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    weights = tmp_path / "w.safetensors"
    (small_checkpoint if network == "v3" else small_v2()).save(weights)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE, str(weights), *options],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.split() == ["True"] * 4, done.stderr


def test_a_gpu_is_refused_at_once(small_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
    engine = ReferenceEngine(small_checkpoint, RECIPES["dr19"])
    engine.device, engine._process = "cuda:0", os.getpid() + 1  # as in a child of the process that made it
    flux, error = ordinary_spectra(rng, 1)
    with pytest.raises(UsageError, match=r"forked from one that uses a GPU.*got cuda:0.*get_context\(\"spawn\"\)"):
        engine.predict(flux, error, np.array([1], np.uint64), 2)


def test_in_a_process_that_is_no_fork_work_stays_in_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    here = threading.get_ident()
    monkeypatch.setattr("apnet_fast.engines.forks._forked", False)
    assert in_a_sound_thread(threading.get_ident) == here
    monkeypatch.setattr("apnet_fast.engines.forks._forked", True)
    assert in_a_sound_thread(threading.get_ident) != here
    with pytest.raises(ZeroDivisionError):
        in_a_sound_thread(lambda: 1 // 0)
