"""The loss, the groups of parameters and the averaged weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from apnet_fast.train.learner import Learner, masked_loss, parameter_groups


def test_unknown_labels_have_no_loss_and_no_gradient() -> None:
    outputs = torch.tensor([[1.0, 5.0, 3.0], [0.0, 0.0, 0.0]], requires_grad=True)
    targets = torch.tensor([[0.0, float("nan"), 3.05], [float("nan")] * 3])
    loss = masked_loss(outputs, targets, knee=0.1)
    assert float(loss) == pytest.approx((0.95 + 0.5 * 0.05**2 / 0.1) / 2)
    (gradient,) = torch.autograd.grad(loss, outputs)
    assert torch.isfinite(gradient).all()
    assert (gradient != 0).tolist() == [[True, False, True], [False, False, False]]
    known = torch.nan_to_num(targets)
    assert float(masked_loss(outputs, known, knee=0.1)) != pytest.approx(float(loss), rel=0.1)


def test_nothing_known_is_no_loss() -> None:
    assert float(masked_loss(torch.ones(2, 3), torch.full((2, 3), float("nan")), 0.1)) == 0.0


def test_wide_layers_learn_slowly_and_biases_do_not_decay() -> None:
    network = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.Linear(1024, 4), nn.Linear(64, 3))
    groups = parameter_groups(network, weight_decay=0.1)
    share_of = {id(p): (group["share"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert len(share_of) == len(list(network.parameters()))
    assert share_of[id(network[0].weight)] == (1.0, 0.1)
    assert share_of[id(network[1].weight)] == (1.0, 0.0)
    assert share_of[id(network[2].weight)] == (128 / 1024, 0.1)
    assert share_of[id(network[2].bias)] == (1.0, 0.0)
    assert share_of[id(network[3].weight)] == (1.0, 0.1)


def learner(ema: float) -> Learner:
    torch.manual_seed(0)
    return Learner(
        nn.Sequential(nn.Flatten(), nn.Linear(8, 3)),
        device="cpu",
        precision="fp32",
        weight_decay=0.0,
        clip=1.0,
        knee=0.1,
        ema=ema,
    )


def test_averaged_weights_lag_behind_and_are_what_is_used() -> None:
    inputs, targets = (torch.randn(16, 1, 8),), torch.randn(16, 3)
    plain, averaged = learner(0.0), learner(0.9)
    for _ in range(30):
        plain.step(inputs, targets, 0.01)
        averaged.step(inputs, targets, 0.01)
    assert torch.equal(plain.network[1].weight, averaged.network[1].weight)
    assert torch.equal(plain.weights()["1.weight"], plain.network[1].weight)
    assert not torch.equal(averaged.weights()["1.weight"], averaged.network[1].weight)
    before = averaged.network[1].weight.clone()
    loss, outputs = averaged.evaluate([(inputs, targets)])
    assert torch.equal(averaged.network[1].weight, before)
    expected = inputs[0].flatten(1) @ averaged.weights()["1.weight"].T + averaged.weights()["1.bias"]
    torch.testing.assert_close(outputs, expected)
    assert loss == pytest.approx(float(masked_loss(expected, targets, 0.1)))
