"""Values that no network has: not finite, absurd, or made absurd by BatchNorm, each refused by the tensor's name."""

from __future__ import annotations

import pytest
import torch

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.values import check_values
from apnet_fast.support.errors import WeightsError

ABSURD = (float("nan"), float("inf"), -float("inf"), 3.4e38, -3.4e38, 1e10, -1e7)


def changed(checkpoint: Checkpoint, key: str, value: float, at: int = 0) -> dict[str, torch.Tensor]:
    tensor = checkpoint.state[key].clone()
    tensor.view(-1)[at] = value
    return {**checkpoint.state, key: tensor}


def test_sound_weights_pass(small_checkpoint: Checkpoint) -> None:
    check_values(small_checkpoint.state, "here")
    check_values(changed(small_checkpoint, "first_conv.bn.weight", 1000.0), "here")


@pytest.mark.parametrize("value", ABSURD)
@pytest.mark.parametrize(
    "key",
    [
        "first_conv.conv_layer.weight",
        "first_conv.bn.weight",
        "first_conv.bn.running_mean",
        "res_blocks.1.bn2.bias",
        "res_blocks.0.conv1.weight",
        "linear_sequential.0.linear_layer.weight",
        "linear_sequential.2.bias",
    ],
)
def test_absurd_values_are_refused_by_name(key: str, value: float, small_checkpoint: Checkpoint) -> None:
    with pytest.raises(WeightsError, match=rf"^{key} holds (values that are not finite|absurdly large values).*here"):
        check_values(changed(small_checkpoint, key, value, at=-1), "here")


def test_variances_may_be_large_but_not_negative_or_absurd(small_checkpoint: Checkpoint) -> None:
    key = "res_blocks.0.bn1.running_var"
    check_values(changed(small_checkpoint, key, 1e9), "here")
    with pytest.raises(WeightsError, match=f"{key} holds negative variances"):
        check_values(changed(small_checkpoint, key, -1e-3), "here")
    with pytest.raises(WeightsError, match=rf"{key} holds absurdly large values; got 3.4e\+38"):
        check_values(changed(small_checkpoint, key, 3.4e38), "here")


def test_what_batch_norm_makes_of_values_counts(small_checkpoint: Checkpoint) -> None:
    state = changed(small_checkpoint, "first_conv.bn.running_var", 0.0)
    check_values(state, "here")  # 316 times the weight
    scale = state["first_conv.bn.weight"].clone()
    scale[0] = 1e4
    with pytest.raises(WeightsError, match=r"the BatchNorm first_conv.bn has an absurdly large scale; got 3.16e\+06"):
        check_values({**state, "first_conv.bn.weight": scale}, "here")
    mean = state["first_conv.bn.running_mean"].clone()
    mean[0] = 9e5
    with pytest.raises(WeightsError, match=r"the BatchNorm first_conv.bn has an absurdly large shift"):
        check_values({**state, "first_conv.bn.running_mean": mean}, "here")
