"""v2 and v1: the published sizes, upstream's keys, and the one table that knows the networks apart."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from apnet_fast.catalog.columns import boss_columns, product_columns
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.kinds import NETWORKS, kind_of, network_kind
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.v1 import ApogeeNetV1, ArchitectureV1
from apnet_fast.networks.v2 import ApogeeNetV2, ArchitectureV2
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


def test_tables_and_labels_do_without_torch() -> None:
    code = "import sys, apnet_fast.catalog.sources, apnet_fast.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_shapes_of_the_published_layers() -> None:
    tensors = NETWORKS["v2"].expected_tensors(ArchitectureV2())
    assert tensors["fc1.weight"].shape == (512, 8576)
    assert tensors["fc3.weight"].shape == (3, 512)
    assert tensors["conv7.weight"].shape == (32, 16, 3)
    assert tensors["metadata.l1.weight"].shape == (8, 7)
    assert tensors["metadata.l5.weight"].shape == (64, 32)
    assert NETWORKS["v1"].expected_tensors(ArchitectureV1())["fc1.weight"].shape == (512, 8512)


def test_lengths_through_the_trunk() -> None:
    network, lengths = ApogeeNetV1(), []
    for number in range(1, 13, 2):
        hook = lambda module, inputs, output: lengths.append(inputs[0].shape[-1])  # noqa: E731
        network.get_submodule(f"conv{number}").register_forward_hook(hook)
    with torch.inference_mode():
        features = network.features(torch.rand(2, 1, 8575))
    assert lengths == [8575, 4287, 2143, 1071, 535, 267]
    assert features.shape == (2, 64 * 133)


def test_photometry_enters_behind_the_trunk() -> None:
    torch.manual_seed(0)  # with some weights every ReLU of so small a network is silent
    network = ApogeeNetV2(ArchitectureV2(channels=(2, 2), linear_dim=4, pixels=16, metadata_dims=(3, 5)))
    flux, metadata = torch.rand(2, 1, 16), torch.randn(2, 7)
    with torch.inference_mode():
        before = network(flux, metadata)
        network.fc1.weight[:, :8] = 0  # 2 channels of 4 positions
        assert torch.equal(network(flux, metadata), network(flux.flip(0), metadata))
        network.fc1.weight[:, 8:] = 0
        assert torch.equal(network(flux, metadata), network(flux, metadata.flip(0)))
        assert not torch.equal(network(flux, metadata), before)


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


@pytest.mark.parametrize("network", ["v2", "v1"])
def test_random_labels_are_those_of_stars_and_follow_the_spectrum(network: str) -> None:
    checkpoint: Checkpoint = random_checkpoint(4, network=network)
    again, other = (random_checkpoint(seed, network=network).state for seed in (4, 5))
    assert all(torch.equal(checkpoint.state[key], again[key]) for key in again)
    assert not torch.equal(checkpoint.state["conv3.weight"], other["conv3.weight"])

    generator = torch.Generator().manual_seed(0)
    flux = 10 ** (1.5 + 2.5 * torch.rand(8, 1, 1, generator=generator))
    flux = flux * (1 - 0.4 * torch.rand(8, 1, 8575, generator=generator) ** 6)
    photometry = torch.randn(8, 7, generator=generator)
    module, second = checkpoint.module(), (photometry,) if network == "v2" else ()
    labels = checkpoint.scaling.unscale(module(flux, *second))
    teff = 10 ** labels[:, 1] if network == "v2" else labels[:, 1]
    assert ((teff > 2500) & (teff < 9000)).all()
    assert ((labels[:, 0] > 0) & (labels[:, 0] < 6)).all()
    assert (labels.std(dim=0) > 0.05 * torch.tensor(checkpoint.scaling.std)).all()
    assert teff.std() > 40
    if network == "v2":
        moved = checkpoint.scaling.unscale(module(flux, photometry.flip(0))) - labels
        assert (moved.std(dim=0) > 0.05 * torch.tensor(checkpoint.scaling.std)).all()


def test_scalings_name_their_teff() -> None:
    assert NETWORKS["v2"].scaling.names[1] == "log_teff"
    assert NETWORKS["v1"].scaling.names[1] == "teff"
