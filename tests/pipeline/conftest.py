"""Trees that several pipeline tests read."""

from __future__ import annotations

from pathlib import Path

import pytest

from apnet_fast.simulate import simulate_tree


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
