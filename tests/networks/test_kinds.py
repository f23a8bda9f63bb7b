"""v2 and v1: the published sizes, upstream's keys, and the one table that knows the networks apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apnet_fast.catalog.columns import boss_columns, product_columns
from apnet_fast.networks.kinds import NETWORKS, kind_of, network_kind
from apnet_fast.networks.v1 import ArchitectureV1
from apnet_fast.networks.v2 import ArchitectureV2
from apnet_fast.recipes.labels import MEDIANS, label_names
from apnet_fast.recipes.versions import VERSIONS
from apnet_fast.support.errors import UsageError, WeightsError

PUBLISHED = {"v3": (69, 72_606_495), "v2": (40, 4_691_963), "v1": (30, 4_655_275)}


@pytest.mark.parametrize("network", NETWORKS)
def test_tensors_and_parameters_are_the_published_ones(network: str) -> None:
    kind = NETWORKS[network]
    tensors = kind.expected_tensors(kind.architecture())
    parameters = sum(
        value.numel() for key, value in tensors.items() if not key.split(".")[-1].startswith(("run", "num"))
    )
    assert (len(tensors), parameters) == PUBLISHED[network]
    assert kind_of(kind.architecture()) is kind


def test_what_a_network_has_is_asked_of_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [name for name, kind in NETWORKS.items() if kind.version.photometry or kind.version.medians] == ["v2"]
    assert not set(MEDIANS) & {*label_names("v1"), *(column.name for column in boss_columns("v1"))}
    monkeypatch.setitem(VERSIONS, "v1", replace(VERSIONS["v1"], medians=True))
    assert set(MEDIANS) <= set(label_names("v1"))
    for columns in (product_columns("star", "v1"), product_columns("visit", "v1"), boss_columns("v1")):
        assert set(MEDIANS) <= {column.name for column in columns}


def test_shapes_of_the_published_layers() -> None:
    tensors = NETWORKS["v2"].expected_tensors(ArchitectureV2())
    assert tensors["fc1.weight"].shape == (512, 8576)
    assert tensors["fc3.weight"].shape == (3, 512)
    assert tensors["conv7.weight"].shape == (32, 16, 3)
    assert tensors["metadata.l1.weight"].shape == (8, 7)
    assert tensors["metadata.l5.weight"].shape == (64, 32)
    assert NETWORKS["v1"].expected_tensors(ArchitectureV1())["fc1.weight"].shape == (512, 8512)


def test_unknown_networks_and_architectures() -> None:
    with pytest.raises(UsageError, match=r"v3 \| v2 \| v1"):
        network_kind("v4")
    for args, words in (
        ({"channels": [8]}, "channels makes no network"),
        ({"channels": [8, 0]}, "channels makes no network"),
        ({"linear_dim": [8, 8]}, "linear_dim makes no network"),
        ({"model_dim": 4}, "unknown architecture argument model_dim"),
        ({"in_channels": 1}, "unknown architecture argument in_channels"),
    ):
        with pytest.raises(WeightsError, match=words):
            NETWORKS["v2"].architecture_from(args, "here")
    sizes = {"channels": [4, 8], "linear_dim": 16, "pixels": 64, "metadata_dims": [2, 3]}
    assert NETWORKS["v2"].architecture_from(sizes, "here").as_dict() == sizes
    with pytest.raises(WeightsError, match="metadata_dims"):
        NETWORKS["v1"].architecture_from(sizes, "here")
