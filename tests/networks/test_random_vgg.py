"""Random weights of v2 and v1: labels of stars, moved by spectrum and photometry, and the same from every call."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.random_vgg import fill_vgg
from apnet_fast.networks.v1 import ApogeeNetV1, ArchitectureV1


def test_a_seed_gives_the_same_weights_and_another_seed_others() -> None:
    def filled(seed: int) -> dict[str, torch.Tensor]:
        network = ApogeeNetV1(ArchitectureV1(channels=(8, 4, 4), linear_dim=8)).requires_grad_(False)
        fill_vgg(network, np.random.default_rng(seed))
        return network.state_dict()

    one, again, other = filled(3), filled(3), filled(4)
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["conv3.weight"], other["conv3.weight"])


def test_the_first_convs_bend_flux_into_a_logarithm() -> None:
    network = ApogeeNetV1(ArchitectureV1(channels=(8, 4, 4), linear_dim=8)).requires_grad_(False)
    fill_vgg(network, np.random.default_rng(0))
    levels = torch.logspace(1.6, 4.3, 30)
    with torch.inference_mode():
        x = torch.relu(network.conv1(levels[:, None, None].expand(-1, 1, 8575)))
        bent = network.conv2(x)[:, :, 4000]
    rises = torch.corrcoef(torch.stack([torch.log(levels), *bent.T]))[0, 1:].abs()
    plain = torch.corrcoef(torch.stack([torch.log(levels), levels]))[0, 1].abs()
    assert (rises > 0.98).all()
    assert plain < 0.9


@pytest.mark.parametrize("network", ["v2", "v1"])
def test_random_labels_are_those_of_stars_and_follow_the_spectrum(network: str) -> None:
    checkpoint = random_checkpoint(4, network=network)
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
