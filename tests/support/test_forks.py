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

from apnet_fast.engines.reference import ReferenceEngine
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import RECIPES
from apnet_fast.support import forks
from apnet_fast.support.errors import UsageError
from apnet_fast.support.forks import in_a_sound_thread, sound
from tests.backends.spectra import small_v2
from tests.engines.battery import ordinary_spectra

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

# What every script does first. `forked` returns what work() returns in a forked process, or how that ended: one that
# hangs is ended by its alarm, and would otherwise outlive the test.
BEGINNING = """
import hashlib, os, pickle, signal, sys
from pathlib import Path
import numpy as np, torch

torch.set_num_threads(2)
torch.exp(torch.randn(4_000_000))  # from here on the process has OpenMP's threads
rng = np.random.default_rng(0)
error = np.full((3, 8575), 5.0, np.float32)
flux = 500 + error * rng.standard_normal(error.shape, np.float32)

def forked(work):
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        signal.alarm(100)
        try:
            answer = work()
        except BaseException as error:
            answer = repr(error)
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    status = os.waitpid(process, 0)[1]
    return pickle.loads(answer) if answer else f"ended with {status}"
"""


def printed_by(code: str, *words: str | Path) -> list[str]:
    """The words that a script prints in a process of its own, which must end well."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BEGINNING + code, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


ENGINES = """
from apnet_fast import ApogeeNet

weights, engine, device = sys.argv[1:]
net = ApogeeNet.load(weights, engine=engine, device=device)
expected = net.predict(flux, error, draws=3).tobytes()

def child(again):
    mine = ApogeeNet.load(weights, engine=engine, device=device) if again else net
    return [mine.predict(flux, error, draws=3).tobytes() == expected for _ in range(2)]

for again in (False, True):
    print(forked(lambda: child(again)))
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
    assert printed_by(ENGINES, weights, *options) == ["[True, True]"] * 2


# The parent process has used torch and does not know of this package before it forks.
POOL = """
import multiprocessing

def work(weights):
    signal.alarm(100)
    from apnet_fast import ApogeeNet
    return ApogeeNet.load(weights, device="cpu").predict(flux, error, draws=3).tobytes()

with multiprocessing.get_context("fork").Pool(1) as pool:
    answer = pool.map_async(work, sys.argv[1:]).get(120)
print(forked(lambda: work(*sys.argv[1:])) == answer[0] == work(*sys.argv[1:]))
signal.alarm(0)
"""


def test_torch_may_have_been_used_before_the_package_is_imported(small_weights: Path) -> None:
    assert printed_by(POOL, small_weights) == ["True"]


EVERYTHING = """
weights, file, folder = map(Path, sys.argv[1:])

def load(**options):
    from apnet_fast import ApogeeNet
    return ApogeeNet.load(weights, device="cpu", **options)

def truth():
    return load(engine="reference", precision="fp64").predict(flux, error, draws=3).tobytes()

def tensors():
    halves = [torch.from_numpy(values).bfloat16() for values in (flux, error)]
    return load().predict(*halves, draws=3).tobytes()

def stream():
    from apnet_fast.backends import arrays
    rows = ((flux[i], error[i], str(i)) for i in range(3))
    return [row.tobytes() for row in arrays.stream(load(), rows, draws=3, batch_size=2)]

def picture():
    from apnet_fast.predict.picture import star_picture
    from apnet_fast.predict.stars import predict_files
    net = load()
    drawn = star_picture(net, predict_files(net, [file], draws=3, show=1).shown, draws=3, seed=0)
    return drawn.labels, drawn.seen.tobytes(), drawn.draws.tobytes()

def survey():
    import tempfile
    from apnet_fast import run_survey
    output = Path(tempfile.mkdtemp(dir=folder))
    run_survey([file], weights=weights, output=output, device="cpu", draws=3)
    import pyarrow.parquet as pq
    labels = [pq.read_table(path, columns=["teff", "raw_e_logg"]) for path in sorted(output.glob("astra*.parquet"))]
    return [table.to_pydict() for table in labels]

def weights_files():
    import tempfile
    from apnet_fast.engines.ranges import layer_ranges
    from apnet_fast.networks.random import random_checkpoint
    from apnet_fast.networks.upstream import export_upstream, import_upstream
    made = random_checkpoint(seed=1, network="v1")
    upstream = Path(tempfile.mkdtemp(dir=folder)) / "model"  # the name of this folder goes into the file
    export_upstream(made, upstream)
    import_upstream(upstream, "v1").save(upstream / "w.safetensors")
    ranges = layer_ranges(load().engine.checkpoint)
    return ranges, hashlib.sha256((upstream / "w.safetensors").read_bytes()).hexdigest()

every = [truth, tensors, stream, picture, survey, weights_files]
before = [forked(work) for work in every]
expected = [work() for work in every]
after = [forked(work) for work in every]
for work, *answers in zip(every, before, after, expected):
    same = [answer == answers[-1] for answer in answers[:-1]]
    print(work.__name__, *(True if ok else str(answer)[:200] for ok, answer in zip(same, answers)), file=sys.stdout)
"""


@pytest.mark.slow
def test_whatever_calls_torch_works_after_a_fork(small_weights: Path, tree: Path, tmp_path: Path) -> None:
    """Before the parent process has used the package, and afterwards, with the same bits."""
    file = min(tree.rglob("apStar*.fits"))
    lines = [line for line in printed_by(EVERYTHING, small_weights, file, tmp_path) if not line.startswith("{")]
    names = ("truth", "tensors", "stream", "picture", "survey", "weights_files")
    assert lines == [f"{name} True True" for name in names]


def test_a_gpu_is_refused_at_once(small_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
    engine = ReferenceEngine(small_checkpoint, RECIPES["dr19"])
    engine.device, engine._process = "cuda:0", os.getpid() + 1  # as in a child of the process that made it
    flux, error = ordinary_spectra(rng, 1)
    with pytest.raises(UsageError, match=r"forked from one that uses a GPU.*got cuda:0.*get_context\(\"spawn\"\)"):
        engine.predict(flux, error, np.array([1], np.uint64), 2)


def test_only_the_thread_that_forked_leaves_its_work_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    here = threading.get_ident()
    monkeypatch.setattr(forks, "_forked", False)
    assert in_a_sound_thread(threading.get_ident) == here
    monkeypatch.setattr(forks, "_forked", True)
    assert in_a_sound_thread(threading.get_ident) != here
    within: list[int] = []

    def work() -> None:
        within.append(threading.get_ident())
        within.append(in_a_sound_thread(threading.get_ident))

    in_a_sound_thread(work)
    assert within[0] == within[1] != here
    with pytest.raises(ZeroDivisionError):
        in_a_sound_thread(lambda: 1 // 0)


def test_a_sound_function_is_itself_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    @sound
    def where(first: int, *, second: int) -> tuple[int, int, int]:
        """Tell."""
        return threading.get_ident(), first, second

    assert (where.__name__, where.__doc__) == ("where", "Tell.")
    for after_a_fork in (False, True):
        monkeypatch.setattr(forks, "_forked", after_a_fork)
        thread, *given = where(1, second=2)
        assert given == [1, 2]
        assert (thread != threading.get_ident()) == after_a_fork


@pytest.mark.parametrize(
    ("stat", "forked"),
    [
        ("7 (a program) R 1 7 7 0 -1 4194304 100 0", False),
        ("7 (a program) R 1 7 7 0 -1 4194368 100 0", True),
        ("7 (a) 0 (64) b) R 1 7 7 0 -1 4194304 100 0", False),
        ("7 (a) R 1 7 7 0 -1 0 100 0", True),
        ("7 (a) R", False),
        ("7 (a) R 1 7 7 0 -1 ? 100 0", False),
        (None, False),
    ],
)
def test_what_the_system_knows_of_a_fork(
    stat: str | None, forked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stat is not None:
        (tmp_path / "stat").write_text(stat)
    monkeypatch.setattr(forks, "_STAT", str(tmp_path / "stat"))
    assert forks._was_forked() == forked


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that it was forked")
def test_a_fork_is_known_although_the_module_came_later() -> None:
    code = """
def forks():
    import apnet_fast.support.forks
    return apnet_fast.support.forks._forked
print(forked(forks))
"""
    assert printed_by(code) == ["True"]
