"""Ranges of activations: every layer is measured, and larger weights leave less room in fp16."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apnet_fast.engines.ranges import FP16_MAX, LayerRange, fp16_headroom, layer_ranges
from apnet_fast.networks.checkpoint import Checkpoint
from tests.backends.spectra import small_v2


def test_headroom_is_how_often_the_largest_value_fits() -> None:
    assert LayerRange("x", 2.0).headroom == FP16_MAX / 2
    assert LayerRange("x", 0.0).headroom == float("inf")


def test_every_layer_of_v3_is_measured(small_checkpoint: Checkpoint) -> None:
    names = [layer.layer for layer in layer_ranges(small_checkpoint)]
    assert names[0] == "first_conv.bn"
    assert {"res_blocks.0.bn1", "res_blocks.0.bn2", "res_blocks.1", "linear_sequential.2"} <= set(names)
    assert len(set(names)) == len(names)


def test_v2_is_measured_with_its_photometry() -> None:
    names = {layer.layer for layer in layer_ranges(small_v2())}
    assert {"conv1", "conv6", "metadata.l1", "fc1", "fc3"} <= names


def test_larger_weights_leave_less_headroom(small_checkpoint: Checkpoint) -> None:
    key = "first_conv.bn.weight"
    louder = replace(small_checkpoint, state={**small_checkpoint.state, key: small_checkpoint.state[key] * 1000})
    before, after = fp16_headroom(small_checkpoint), fp16_headroom(louder)
    assert before > 16
    assert after < before / 100
    first = next(layer for layer in layer_ranges(louder) if layer.layer == "first_conv.bn")
    assert first.headroom == pytest.approx(FP16_MAX / first.largest)
