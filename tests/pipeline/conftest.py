"""Fixtures of the tests of runs."""

from __future__ import annotations

import pytest

from tests.pipeline.children import NewChildren, watch_children


@pytest.fixture
def new_children() -> NewChildren:
    """What lists the processes that the test has begun, and that live."""
    return watch_children()
