"""The kernels' noise is that of `apnet_fast.recipes.noise`: same bits, same normals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from apnet_fast.recipes.noise import noise_keys, normals, philox4x32

triton = pytest.importorskip("triton", reason="triton is installed on Linux x86-64 only")
tl = pytest.importorskip("triton.language")

from apnet_fast.kernels.noise import noise_bits, noise_normals, sin_cos  # noqa: E402

QUADS = 2144  # ceil(8575 / 4)
BLOCK = 4096


@triton.jit
def store_bits(key_ptr, out, draw, quads, BLOCK: tl.constexpr):
    quad = tl.arange(0, BLOCK)
    b0, b1, b2, b3 = noise_bits(tl.load(key_ptr), quad, draw)
    inside = quad < quads
    tl.store(out + 4 * quad, b0, inside)
    tl.store(out + 4 * quad + 1, b1, inside)
    tl.store(out + 4 * quad + 2, b2, inside)
    tl.store(out + 4 * quad + 3, b3, inside)


@triton.jit
def store_normals(key_ptr, out, draw, quads, BLOCK: tl.constexpr):
    quad = tl.arange(0, BLOCK)
    z0, z1, z2, z3 = noise_normals(tl.load(key_ptr), quad, draw)
    inside = quad < quads
    tl.store(out + 4 * quad, z0, inside)
    tl.store(out + 4 * quad + 1, z1, inside)
    tl.store(out + 4 * quad + 2, z2, inside)
    tl.store(out + 4 * quad + 3, z3, inside)


@triton.jit
def store_sin_cos(angle_ptr, out, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    sine, cosine = sin_cos(tl.load(angle_ptr + i))
    tl.store(out + i, sine)
    tl.store(out + BLOCK + i, cosine)


def run(kernel: object, draw: int, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    key = noise_keys(7, ["a spectrum"])
    out = torch.full((4 * QUADS,), -1, dtype=dtype)
    kernel[(1,)](torch.from_numpy(key), out, draw, QUADS, BLOCK=BLOCK)
    return key, out.numpy()


@pytest.mark.parametrize("draw", [0, 1, 19, 70000])
def test_bits_are_identical(draw: int) -> None:
    key, bits = run(store_bits, draw, torch.int32)
    k0, k1 = np.uint32(key[0] & np.uint64(0xFFFFFFFF)), np.uint32(key[0] >> np.uint64(32))
    for quad in (0, 1, 1000, QUADS - 1):
        words = philox4x32(np.uint32(quad), np.uint32(draw), np.uint32(0), np.uint32(0), k0, k1)
        assert bits.view(np.uint32)[4 * quad : 4 * quad + 4].tolist() == [int(word) for word in words]


def test_bits_of_another_draw_differ() -> None:
    _, first = run(store_bits, 0, torch.int32)
    _, second = run(store_bits, 1, torch.int32)
    assert np.mean(first == second) < 0.01


@pytest.mark.parametrize("draw", [0, 19])
def test_normals_agree_to_rounding(draw: int) -> None:
    key, z = run(store_normals, draw, torch.float32)
    expected = normals(key, draws=draw + 1, pixels=4 * QUADS)[0, draw]
    np.testing.assert_allclose(z, expected, atol=3e-6)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(np.roll(z, 1), expected, atol=3e-6)


def test_sine_and_cosine_of_every_turn() -> None:
    quarters = np.float32(np.arange(5) * np.pi / 2)
    near = [np.nextafter(quarters, np.float32(way)) for way in (-1, 7)]
    angles = np.concatenate([np.linspace(0, 2 * np.pi, (1 << 16) - 15, dtype=np.float32), quarters, *near])
    angles = angles[(angles >= 0) & (angles <= np.float32(6.2831855))][: 1 << 15 << 1]
    angles = np.resize(angles, 1 << 16).astype(np.float32)
    out = torch.full((2, len(angles)), float("nan"))
    store_sin_cos[(1,)](torch.from_numpy(angles), out, BLOCK=len(angles))
    exact = angles.astype(np.float64)
    np.testing.assert_allclose(out[0].numpy(), np.sin(exact), rtol=0, atol=1.2e-7)
    np.testing.assert_allclose(out[1].numpy(), np.cos(exact), rtol=0, atol=1.2e-7)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(out[0].numpy(), np.sin(exact + 1e-6), rtol=0, atol=1.2e-7)
