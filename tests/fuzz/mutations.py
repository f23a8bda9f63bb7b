"""Mutations of bytes and of text: what disks, networks, editors and other programs do to files."""

from __future__ import annotations

import random
from collections.abc import Callable

PAGE = 4096
FOREIGN = (
    b"",
    b"\n",
    b"\0" * 512,
    b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1045440\n",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    b"PK\x03\x04\x14\x00",
    b"\x89HDF\r\n\x1a\n",
    b"SIMPLE  =                    T",
    b"PAR1" + b"\xff" * 64 + b"PAR1",
    b"ARROW1\0\0" + b"\xff" * 64,
    b"\xff" * 9000,
    b"\xef\xbb\xbf{}",
    b"{}",
    b"[]",
    b"null",
)


def flip_bits(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Flip one to eight bits."""
    changed = bytearray(content)
    number = rng.randint(1, 8)
    for _ in range(number if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed), f"{number} bits flipped"


def flip_first_bits(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Flip bits near the beginning, where headers are."""
    length = min(len(content), 3000)
    head, what = flip_bits(content[:length], rng)
    return head + content[length:], f"{what} at the beginning"


def cut(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Cut the file short."""
    length = rng.choice([0, 1, 7, 8, 100, len(content) // 2, max(len(content) - 1, 0), rng.randrange(len(content) + 1)])
    return content[:length], f"cut to {min(length, len(content))} bytes"


def lose_page(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Put zeros in the place of a page of the disk."""
    start = rng.randrange(len(content) // PAGE + 1) * PAGE
    stop = min(start + PAGE, len(content))
    return content[:start] + bytes(stop - start) + content[stop:], f"zeros from {start} to {stop}"


def insert(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Insert bytes."""
    at, number = rng.randrange(len(content) + 1), rng.choice([1, 2, 80, 2880, 5000])
    return content[:at] + rng.randbytes(number) + content[at:], f"{number} bytes inserted at {at}"


def remove(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Remove bytes."""
    at, number = rng.randrange(len(content) + 1), rng.choice([1, 2, 80, 2880, 5000])
    return content[:at] + content[at + number :], f"{number} bytes removed at {at}"


def double(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Append the file, or part of it, to itself."""
    start = rng.choice([0, rng.randrange(len(content) + 1)])
    return content + content[start:], f"bytes from {start} on doubled"


def replace_start(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Replace the file, or its beginning, by another format."""
    start = rng.choice(FOREIGN)
    return start + (content[len(start) :] if rng.random() < 0.5 else b""), f"begins with {start[:12]!r}"


def swap_blocks(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Exchange two blocks of 2880 bytes."""
    size = 2880
    first, second = sorted(rng.randrange(len(content) // size + 1) * size for _ in range(2))
    if second - first < size:
        return flip_bits(content, rng)
    middle = content[first + size : second]
    swapped = content[:first] + content[second : second + size] + middle + content[first : first + size]
    return swapped + content[second + size :], f"blocks at {first} and {second} exchanged"


BYTES: tuple[Callable[[bytes, random.Random], tuple[bytes, str]], ...] = (
    flip_bits,
    flip_first_bits,
    cut,
    lose_page,
    insert,
    remove,
    double,
    replace_start,
    swap_blocks,
)


def mutate_bytes(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Apply one mutation of bytes."""
    return rng.choice(BYTES)(content, rng)
