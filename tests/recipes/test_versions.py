"""Versions of ApogeeNet: what labels and catalogues ask of them."""

from __future__ import annotations

import pytest

from apnet_fast.recipes.versions import VERSIONS, network_version
from apnet_fast.support.errors import UsageError


def test_versions_by_name() -> None:
    assert {name: (version.name, version.title) for name, version in VERSIONS.items()} == {
        name: (name, f"ApogeeNet {name}") for name in ("v3", "v2", "v1")
    }
    assert network_version("v2").photometry
    assert network_version("v2").medians
    assert not network_version("v3").photometry


def test_only_v1_has_linear_teff() -> None:
    assert [name for name, version in VERSIONS.items() if "teff" in version.outputs] == ["v1"]
    assert {version.default_draws for version in VERSIONS.values()} == {20, 100}


def test_an_unknown_version_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown network; got 'v4'; expected v3 \| v2 \| v1"):
        network_version("v4")
