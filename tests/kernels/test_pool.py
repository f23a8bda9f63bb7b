"""Adaptive pooling against torch, in Triton's interpreter."""

from __future__ import annotations

import warnings

import pytest
import torch

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.kernels.conv import activations, segments_of
from apnet_fast.kernels.naive import naive_pool
from apnet_fast.kernels.pool import PoolConfig, pool


@pytest.mark.parametrize(
    ("length", "pooled", "channels"), [(4288, 1024, 64), (4288, 64, 16), (100, 33, 8), (50, 50, 4)]
)
def test_against_torch(length: int, pooled: int, channels: int) -> None:
    torch.manual_seed(0)
    segment = length + 32
    x = activations(2, segment, channels, "cpu")
    segments_of(x, 2, segment)[:, :length] = torch.randn(2, length, channels)
    out = torch.full((2, pooled * channels), float("nan"), dtype=torch.float16)
    pool(x, out, 2, segment, length, pooled, PoolConfig(32, 4))
    twin = naive_pool(segments_of(x, 2, segment)[:, :length], pooled)
    torch.testing.assert_close(out.float(), twin, rtol=1e-3, atol=1e-3)
    if pooled < length:
        shifted = naive_pool(segments_of(x, 2, segment)[:, 1 : length + 1], pooled)
        assert not torch.allclose(out.float(), shifted, rtol=1e-3, atol=1e-3)


def test_nothing_is_read_behind_the_last_segment() -> None:
    length, pooled, channels = 4288, 33, 8
    segment = length + 32
    x = activations(1, segment, channels, "cpu")
    # Infinities of both signs, which a sum of neighbours would complain of.
    behind = torch.full((2 * segment, channels), float("inf"), dtype=torch.float16)
    behind[::2] *= -1
    memory = torch.cat([x, behind])
    out = torch.empty((1, pooled * channels), dtype=torch.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pool(memory[: len(x)], out, 1, segment, length, pooled, PoolConfig(32, 4))
    assert torch.all(out == 0)
