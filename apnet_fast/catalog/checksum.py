"""Compute the checksums of FITS HDUs: DATASUM and CHECKSUM.

Definition: FITS standard 4.0, section 4.4.2.7 and appendix J.
"""

from __future__ import annotations

import numpy as np

_EXCLUDED = frozenset(b":;<=>?@[\\]^_`")


class OnesComplementSum:
    """The sum of bytes as big-endian 32-bit words with end-around carry, fed piece by piece."""

    def __init__(self) -> None:
        self._total = 0
        self._rest = b""

    def update(self, data: bytes | memoryview) -> None:
        """Add bytes; a piece may end inside a word."""
        view = memoryview(data).cast("B")
        if self._rest:
            missing = 4 - len(self._rest)
            self._rest += view[:missing]
            if len(self._rest) < 4:
                return
            self._total += int.from_bytes(self._rest, "big")
            view = view[missing:]
        whole = len(view) & ~3
        self._total += int(np.frombuffer(view[:whole], ">u4").sum(dtype=np.uint64))
        self._rest = bytes(view[whole:])

    @property
    def value(self) -> int:
        """Return the sum so far, 0 .. 2**32 - 1; a word begun is filled up with zeros."""
        return _folded(self._total + int.from_bytes(self._rest.ljust(4, b"\0"), "big"))


def checksum_of(header: bytes, data: int) -> str:
    """Return the value of an HDU's CHECKSUM card.

    header: whole blocks, with a CHECKSUM of sixteen zeros. data: sum of the data, the value of DATASUM.
    """
    total = OnesComplementSum()
    total.update(header)
    return _encoded(0xFFFFFFFF - _folded(total.value + data))


def _folded(total: int) -> int:
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _encoded(value: int) -> str:
    """Encode a 32-bit value as sixteen letters and digits whose sum, in their place in the card, is that value."""
    letters = bytearray(16)
    for i, byte in enumerate(value.to_bytes(4, "big")):
        four = [byte // 4 + ord("0")] * 4
        four[0] += byte % 4
        while _EXCLUDED & set(four):
            for j in (0, 2):
                if _EXCLUDED & {four[j], four[j + 1]}:
                    four[j] += 1
                    four[j + 1] -= 1
        letters[i::4] = bytes(four)
    # The value of a card begins one byte before a word does.
    return (letters[-1:] + letters[:-1]).decode("ascii")
