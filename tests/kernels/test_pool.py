"""Adaptive pooling against torch, in Triton's interpreter."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch

pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")

from apnet_fast.kernels.activations import activations
from apnet_fast.kernels.naive import naive_pool
from apnet_fast.kernels.pool import PoolConfig, pool

SIZES = [(4288, 1024, 64), (100, 33, 8), (50, 50, 4)]


@pytest.mark.parametrize(("length", "pooled", "channels"), SIZES)
def test_draws_against_torch(length: int, pooled: int, channels: int) -> None:
    torch.manual_seed(0)
    x = activations(2, length + 32, channels, 15, "cpu")
    x.rows()[:, :, :length] = torch.randn(1, 2, length, channels)
    out = torch.full((2, pooled * channels), float("nan"), dtype=torch.float16)
    pool(x, out, length, pooled, PoolConfig(32, 4))
    twin = naive_pool(x.rows()[0, :, :length], pooled)
    torch.testing.assert_close(out.float(), twin, rtol=1e-3, atol=1e-3)
    if pooled < length:
        shifted = naive_pool(x.rows()[0, :, 1 : length + 1], pooled)
        assert not torch.allclose(out.float(), shifted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("length", "pooled", "channels"), SIZES[1:])
def test_clean_spectra_keep_22_bits(length: int, pooled: int, channels: int) -> None:
    torch.manual_seed(0)
    x = activations(2, length + 32, channels, 15, "cpu", planes=2)
    values = torch.randn(2, length, channels, dtype=torch.float64)
    x.rows()[0, :, :length] = values.half()
    x.rows()[1, :, :length] = (values - values.half()).half()
    high, low = (torch.full((2, pooled * channels), float("nan"), dtype=torch.float16) for _ in range(2))
    pool(x, high, length, pooled, PoolConfig(32, 4), low)
    twin = naive_pool(values, pooled)
    torch.testing.assert_close(high.float() + low.float(), twin, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(high.float(), twin, rtol=1e-6, atol=1e-6)


def test_nothing_is_read_behind_the_last_segment() -> None:
    length, pooled, channels = 4288, 33, 8
    segment = length + 32
    x = activations(1, segment, channels, 15, "cpu")
    # Infinities of both signs, which a sum of neighbours would complain of.
    behind = torch.full((1, 2 * segment, channels), float("inf"), dtype=torch.float16)
    behind[:, ::2] *= -1
    memory = torch.cat([x.data, behind], dim=1)
    out = torch.full((1, pooled * channels), float("nan"), dtype=torch.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pool(replace(x, data=memory[:, : x.data.shape[1]]), out, length, pooled, PoolConfig(32, 4))
    assert torch.all(out == 0)
