"""The trunk that v1 and v2 share: names, lengths and pooling."""

from __future__ import annotations

import torch
from torch.nn import functional

from apnet_fast.networks.v1 import ApogeeNetV1
from apnet_fast.networks.vgg import ArchitectureVgg, VggTrunk


def test_lengths_through_the_trunk() -> None:
    network, lengths = ApogeeNetV1(), []
    for number in range(1, 13, 2):
        hook = lambda module, inputs, output: lengths.append(inputs[0].shape[-1])  # noqa: E731
        network.get_submodule(f"conv{number}").register_forward_hook(hook)
    with torch.inference_mode():
        features = network.features(torch.rand(2, 1, 8575))
    assert lengths == [8575, 4287, 2143, 1071, 535, 267]
    assert features.shape == (2, 64 * 133)


def test_features_are_channel_major() -> None:
    trunk, flux = VggTrunk((2, 3)), torch.rand(2, 1, 16)
    with torch.inference_mode():
        got = trunk.features(flux)
        x = flux
        for pair in ((trunk.conv1, trunk.conv2), (trunk.conv3, trunk.conv4)):
            for conv in pair:
                x = functional.relu(functional.conv1d(x, conv.weight, conv.bias, padding=1))
            x = x.unflatten(2, (-1, 2)).amax(dim=3)
    assert x.shape == (2, 3, 4)
    assert torch.equal(got, x.flatten(1))
    assert not torch.equal(got, x.transpose(1, 2).flatten(1))


def test_sizes_follow_from_channels_and_pixels() -> None:
    assert ArchitectureVgg().features == 64 * 133
    small = ArchitectureVgg(channels=(4, 8), linear_dim=16, pixels=65)
    assert small.features == 8 * 16
    assert small.as_dict() == {"channels": [4, 8], "linear_dim": 16, "pixels": 65}
