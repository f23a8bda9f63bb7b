"""A cluster of two workers, and the run that every other must equal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="pip install '.[cluster]'")

from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.pipeline.run import run
from tests.cluster.processes import DaskCluster
from tests.pipeline.runs import arguments, catalogue_bytes


@pytest.fixture(scope="session")
def stars(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-eight stars: four names for each of the tree's."""
    folder = tmp_path_factory.mktemp("stars")
    for number, source in enumerate(resolve_inputs([str(tree)]).files * 4):
        os.link(source, folder / f"apStar-dr17-2M{number:08d}+0000000.fits")
    return folder


@pytest.fixture(scope="session")
def alone(stars: Path, small_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The catalogues of a run in one process."""
    output = tmp_path_factory.mktemp("alone")
    run(arguments([stars], small_weights, output))
    return catalogue_bytes(output)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """Two workers that live as long as a module's tests."""
    made = DaskCluster(tmp_path_factory.mktemp("cluster"))
    made.start_worker()
    made.start_worker()
    yield made
    made.close()


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    """A scheduler without workers that a test may do harm to. A worker that is silent for 8 s is given up."""
    (tmp_path / "cluster").mkdir()
    made = DaskCluster(tmp_path / "cluster", worker_ttl="8s")
    yield made
    made.close()
