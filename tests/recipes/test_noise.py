"""Noise: Random123's known answers, Triton's normals, and independence of everything but key, draw and pixel."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.recipes.noise import box_muller, noise_keys, normals, philox4x32, unit_float

# Random123, tests/kat_vectors, philox4x32 with 10 rounds: counter, key, answer.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def philox(counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(word) for word in philox4x32(*map(np.uint32, counter), *map(np.uint32, key)))


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_known_answers_of_random123(counter: tuple[int, ...], key: tuple[int, ...], answer: tuple[int, ...]) -> None:
    assert philox(counter, key) == answer


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_one_changed_bit_of_the_key_changes_the_answer(
    counter: tuple[int, ...], key: tuple[int, ...], answer: tuple[int, ...]
) -> None:
    assert philox(counter, (key[0] ^ 1, key[1])) != answer


@pytest.mark.parametrize("bits", [0, 1, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF])
def test_uniforms_lie_in_the_unit_interval(bits: int) -> None:
    assert 0 <= unit_float(np.uint32(bits)) < 1


def test_smallest_uniform_gives_a_finite_normal() -> None:
    z0, z1 = box_muller(np.float32(0), np.float32(0.3))
    assert np.isfinite([z0, z1]).all()
    assert np.hypot(z0, z1) == pytest.approx(np.sqrt(-2 * np.log(1e-7)), rel=1e-5)


def test_normals_are_box_muller_of_the_four_words_of_each_counter() -> None:
    key = noise_keys(3, ["star"])
    z = normals(key, draws=3, pixels=8575)
    for draw, pixel in [(0, 0), (1, 4001), (2, 8574)]:
        words = philox((pixel // 4, draw, 0, 0), (int(key[0]) & 0xFFFFFFFF, int(key[0]) >> 32))
        pair = 2 * (pixel % 4 // 2)
        u1, u2 = (float(unit_float(np.uint32(word))) for word in words[pair : pair + 2])
        angle, radius = 2 * np.pi * u2, np.sqrt(-2 * np.log(max(u1, 1e-7)))
        expected = radius * (np.cos(angle), np.sin(angle))[pixel % 2]
        assert z[0, draw, pixel] == pytest.approx(expected, abs=2e-6)


def test_normals_are_standard_normal() -> None:
    z = normals(noise_keys(0, map(str, range(20))), draws=20, pixels=8575).ravel()
    standard_error = 1 / np.sqrt(z.size)
    assert abs(z.mean()) < 5 * standard_error
    assert abs(z.std() - 1) < 5 * standard_error
    assert abs((z**4).mean() - 3) < 5 * np.sqrt(96) * standard_error
    assert np.mean(np.abs(z) < 1) == pytest.approx(0.6827, abs=0.002)


def test_a_row_depends_only_on_its_own_key() -> None:
    keys = noise_keys(0, ["a", "b", "c"])
    together = normals(keys, draws=4, pixels=101)
    assert np.array_equal(together[[2]], normals(keys[[2]], draws=4, pixels=101))
    assert not np.array_equal(together[0], together[1])


def test_fewer_draws_or_pixels_are_a_part_of_more() -> None:
    keys = noise_keys(0, ["a"])
    assert np.array_equal(normals(keys, draws=5, pixels=103)[:, :2, :50], normals(keys, draws=2, pixels=50))


def test_keys_differ_by_seed_and_identity_and_not_by_place() -> None:
    one = noise_keys(0, ["a", "b"])
    assert one[1] == noise_keys(0, ["b"])[0]
    assert len({*one, *noise_keys(1, ["a", "b"])}) == 4
    assert noise_keys(0, []).shape == (0,)


def test_keys_are_fixed_for_ever() -> None:
    # A change of these values changes every catalogue made so far.
    keys = noise_keys(0, ["dr17/dr17/apo25m/K01_082+17/2M19085185+5058401/coadd"])
    assert keys.dtype == np.uint64
    assert int(keys[0]) == int.from_bytes(bytes.fromhex("e1f662722754d23a"), "little")
