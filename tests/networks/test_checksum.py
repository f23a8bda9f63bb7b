"""The checksum of weights: any change of what labels depend on changes it, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import torch

from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.checksum import content_sha256


def checksum(checkpoint: Checkpoint) -> str:
    return content_sha256(checkpoint.architecture, checkpoint.scaling, checkpoint.state)


def test_order_and_memory_layout_do_not_count(small_checkpoint: Checkpoint) -> None:
    found = checksum(small_checkpoint)
    assert len(found) == 64
    turned = {key: value.clone() for key, value in reversed(small_checkpoint.state.items())}
    key = "linear_sequential.2.weight"
    turned[key] = turned[key].t().contiguous().t()
    assert not turned[key].is_contiguous()
    assert checksum(replace(small_checkpoint, state=turned, origin="other words")) == found


def test_every_tensor_counts_to_its_last_bit(small_checkpoint: Checkpoint) -> None:
    found = checksum(small_checkpoint)
    seen = {found}
    for key, value in small_checkpoint.state.items():
        changed = value.clone()
        changed.view(-1).view(torch.uint8)[-1] ^= 1
        seen.add(checksum(replace(small_checkpoint, state={**small_checkpoint.state, key: changed})))
    assert len(seen) == 1 + len(small_checkpoint.state)


def test_shapes_names_and_scaling_count(small_checkpoint: Checkpoint) -> None:
    found, state = checksum(small_checkpoint), small_checkpoint.state
    key, other = "res_blocks.0.bn1.bias", "res_blocks.0.bn1.weight"
    assert checksum(replace(small_checkpoint, state={**state, key: state[other], other: state[key]})) != found
    reshaped = state["linear_sequential.2.weight"].reshape(-1)
    assert checksum(replace(small_checkpoint, state={**state, "linear_sequential.2.weight": reshaped})) != found
    scaling = replace(small_checkpoint.scaling, mean=(3.2, 3.7, -0.2000001))
    assert checksum(replace(small_checkpoint, scaling=scaling)) != found
    smaller = replace(small_checkpoint.architecture, num_linear=3)
    assert checksum(replace(small_checkpoint, architecture=smaller)) != found
