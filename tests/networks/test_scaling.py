"""Label scalings: upstream's two roundings, plain values, and which network has which labels."""

from __future__ import annotations

import json

import torch

from apnet_fast.networks.scaling import V1_SCALING, V2_SCALING, V3_SCALING
from apnet_fast.recipes.versions import VERSIONS


def test_scaling_rounds_twice() -> None:
    outputs = torch.linspace(-3, 3, 999).reshape(-1, 3)
    labels = V3_SCALING.unscale(outputs)
    expected = (outputs * torch.tensor([1.2, 0.1, 0.3])) + torch.tensor([3.2, 3.7, -0.2])
    assert torch.equal(labels, expected)
    once = (outputs.double() * torch.tensor(V3_SCALING.std) + torch.tensor(V3_SCALING.mean)).float()
    assert not torch.equal(labels, once)


def test_scaling_keeps_the_precision() -> None:
    labels = V3_SCALING.unscale(torch.full((2, 3), 1 / 3, dtype=torch.float64))
    assert labels.dtype == torch.float64
    assert abs(float(labels[0, 0]) - (1.2 / 3 + 3.2)) < 1e-15


def test_labels_are_those_of_the_version() -> None:
    assert (V3_SCALING.names, V2_SCALING.names, V1_SCALING.names) == tuple(
        VERSIONS[name].outputs for name in ("v3", "v2", "v1")
    )


def test_plain_values_survive_json() -> None:
    for scaling in (V3_SCALING, V2_SCALING, V1_SCALING):
        values = json.loads(json.dumps(scaling.as_dict()))
        assert type(scaling)(**{key: tuple(value) for key, value in values.items()}) == scaling
