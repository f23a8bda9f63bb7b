"""A small network and a few stars, computed once for the room."""

from __future__ import annotations

from pathlib import Path

import pytest

from apnet_fast.api import ApogeeNet
from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.predict.stars import Found, predict_files
from apnet_fast.simulate import simulate_tree


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stars of one visit each."""
    return simulate_tree(tmp_path_factory.mktemp("few") / "tree", stars=2, layout="sdss5", visits=1, seed=4)


@pytest.fixture(scope="session")
def files(few: Path) -> list[Path]:
    """The files of the two stars, and one that is not there between them."""
    first, second = resolve_inputs([str(few)]).files
    return [Path(first), few / "apStar-1.3-apo25m-2M00000000+0000000.fits", Path(second)]


@pytest.fixture(scope="session")
def net(small_weights: Path) -> ApogeeNet:
    """The small network, on the CPU."""
    return ApogeeNet.load(small_weights, device="cpu")


@pytest.fixture(scope="session")
def found(net: ApogeeNet, files: list[Path]) -> Found:
    """Results of the three files, five draws."""
    return predict_files(net, files, draws=5)
