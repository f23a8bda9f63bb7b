"""Fixtures of this room."""

from __future__ import annotations

import pytest

from apnet_fast.simulate.layouts import LAYOUTS
from tests.simulate.simulated_trees import Trees


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Trees:
    return Trees(tmp_path_factory.mktemp("trees"))


@pytest.fixture(params=list(LAYOUTS))
def layout_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)
