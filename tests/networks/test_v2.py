"""v2 reads like its description: photometry through its own layers, behind the trunk."""

from __future__ import annotations

import torch
from torch.nn import functional

from apnet_fast.networks.v2 import ApogeeNetV2, ArchitectureV2, MetadataNet


def test_keys_and_shapes_of_the_upstream_checkpoint() -> None:
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in ApogeeNetV2().state_dict().items()}
    assert len(shapes) == 40
    assert shapes["metadata.l1.weight"] == (8, 7)
    assert shapes["metadata.l5.weight"] == (64, 32)
    assert shapes["fc1.weight"] == (512, 8576)


def test_every_layer_of_the_photometry_has_a_relu() -> None:
    torch.manual_seed(1)
    net, metadata = MetadataNet((3, 5)), torch.randn(20, 7)
    with torch.inference_mode():
        out = net(metadata)
        x = functional.relu(net.l1(metadata))
        assert torch.equal(out, functional.relu(net.l2(x)))
        assert (out == 0).any()
        assert not torch.equal(out, net.l2(x))


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
