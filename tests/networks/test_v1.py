"""v1 reads like its description: keys, sizes, and labels from flux alone."""

from __future__ import annotations

import torch
from torch.nn import functional

from apnet_fast.networks.v1 import ApogeeNetV1, ArchitectureV1

SMALL = ArchitectureV1(channels=(2, 2), linear_dim=4, pixels=16)


def test_keys_and_shapes_of_the_upstream_checkpoint() -> None:
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in ApogeeNetV1().state_dict().items()}
    assert len(shapes) == 30
    assert shapes["conv1.weight"] == (8, 1, 3)
    assert shapes["conv12.weight"] == (64, 64, 3)
    assert (shapes["fc1.weight"], shapes["fc2.weight"], shapes["fc3.weight"]) == ((512, 8512), (512, 512), (3, 512))


def test_forward_is_the_trunk_and_three_linear_layers() -> None:
    torch.manual_seed(0)
    network, flux = ApogeeNetV1(SMALL), torch.rand(3, 1, 16)
    with torch.inference_mode():
        x = network.features(flux)
        for layer in (network.fc1, network.fc2):
            x = functional.relu(functional.linear(x, layer.weight, layer.bias))
        expected = functional.linear(x, network.fc3.weight, network.fc3.bias)
        assert torch.equal(network(flux), expected)
        network.fc3.bias += 1
        assert torch.allclose(network(flux), expected + 1)


def test_it_computes_in_the_precision_of_its_weights() -> None:
    assert ApogeeNetV1(SMALL).double()(torch.rand(1, 1, 16, dtype=torch.float64)).dtype == torch.float64
