"""Fixtures of the catalogue's tests."""

from __future__ import annotations

import pytest

from apnet_fast.spectra.batch import Product


@pytest.fixture(params=["star", "visit"])
def product(request: pytest.FixtureRequest) -> Product:
    return request.param
