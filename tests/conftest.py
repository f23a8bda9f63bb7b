"""Fixtures that several rooms share."""

from __future__ import annotations

import os

# Kernels run in Triton's interpreter in the tests; it must be asked for before any kernel is defined.
os.environ.setdefault("TRITON_INTERPRET", "1")

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.v3 import ArchitectureV3
from apnet_fast.simulate import simulate_tree
from apnet_fast.support.variables import VARIABLES

SMALL = ArchitectureV3(dim_mults=(1, 2, 4), adapt_pool_output_dim=64, num_linear=2, linear_dim=32)


@pytest.fixture(autouse=True)
def _without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests find no weights and surveys of the machine they run on."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(params=["pipe", "link to a pipe", "link to /dev/zero"])
def put_no_file(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """What puts something in place of a file that a program must not read: it would wait, or never end."""

    def put(path: Path) -> None:
        path.unlink(missing_ok=True)
        if request.param == "pipe":
            os.mkfifo(path)
        elif request.param == "link to a pipe":
            os.mkfifo(path.with_name("pipe"))
            path.symlink_to(path.with_name("pipe"))
        else:
            path.symlink_to("/dev/zero")

    return put


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real apStar files; tests that use them skip where it is not given."""
    folder = os.environ.get("APNET_FAST_TEST_DATA")
    if not folder:
        pytest.skip("APNET_FAST_TEST_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def small_checkpoint() -> Checkpoint:
    """A v3 network of small size: same trunk, quick."""
    return random_checkpoint(seed=1, architecture=SMALL)


@pytest.fixture(scope="session")
def full_checkpoint() -> Checkpoint:
    """A v3 network of the real size."""
    return random_checkpoint(seed=1, network="v3")


@pytest.fixture(scope="session")
def small_weights(small_checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network as a weights file."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    small_checkpoint.save(path)
    return path


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(12345)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven ordinary stars of two visits each."""
    return simulate_tree(tmp_path_factory.mktemp("tree") / "dr17", stars=7, layout="dr17", visits=2, seed=3)


@pytest.fixture(scope="session")
def broken_trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One ordinary star and every edge case, in each layout."""
    root = tmp_path_factory.mktemp("broken")
    return {
        layout: simulate_tree(root / layout, stars=1, layout=layout, visits=1, seed=5, edge_cases=True)
        for layout in ("legacy", "dr17", "sdss5")
    }
