"""Checksums of FITS HDUs, held to what the standard says of them."""

from __future__ import annotations

import numpy as np
import pytest

from apnet_fast.catalog.cards import header_blocks, value_card
from apnet_fast.catalog.checksum import OnesComplementSum, checksum_of

DATA = np.random.default_rng(0).integers(0, 256, 10_001, dtype=np.uint8).tobytes()


def plain_sum(data: bytes) -> int:
    total = 0
    for start in range(0, len(data), 4):
        total += int.from_bytes(data[start : start + 4].ljust(4, b"\0"), "big")
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 1027, 4096, 20_000])
def test_sum_does_not_depend_on_the_pieces(piece: int) -> None:
    total = OnesComplementSum()
    for start in range(0, len(DATA), piece):
        total.update(DATA[start : start + piece])
    assert total.value == plain_sum(DATA)


def test_sum_of_nothing_is_zero_and_carries_go_round() -> None:
    total = OnesComplementSum()
    assert total.value == 0
    for _ in range(3):
        total.update(b"\xff\xff\xff\xff")
    assert total.value == 0xFFFFFFFF
    total.update(b"\0\0\0\x05")
    assert total.value == 5


def test_sum_notices_two_bytes_exchanged() -> None:
    total = OnesComplementSum()
    total.update(bytes([DATA[1], DATA[0]]) + DATA[2:])
    assert total.value != plain_sum(DATA)


@pytest.mark.parametrize("data", [0, 1, 0x3A3B3C3D, 0x5B5C5D5E, 2**31, 2**32 - 1, *range(10**6, 10**6 + 300, 7)])
def test_header_and_data_with_their_checksum_sum_to_minus_zero(data: int) -> None:
    def blocks(checksum: str) -> bytes:
        return header_blocks([*value_card("SIMPLE", True), *value_card("CHECKSUM", checksum)])

    checksum = checksum_of(blocks("0" * 16), data)
    assert checksum.isalnum()
    assert plain_sum(blocks(checksum) + data.to_bytes(4, "big")) == 0xFFFFFFFF
