"""What coordinator, node and engine process send each other: a kind, a shard, and bytes that nobody in between reads.

The bodies are pickles that only the coordinator and the engine process open. The node passes them on unopened, so that
its process, which Dask owns, never imports what they are made of.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

_HEAD = struct.Struct("<Bq")
NO_SHARD = -1


class Kind(IntEnum):
    """What a message is.

    To the engine process: ORDERS (what to compute, how), WORK (a shard), END.
    From it: READY (its facts), BATCH (a sign of life), DONE (a shard is stored), FAILED (an error that ends the run).
    From the node alone: DIED (the engine process has gone, or was silent for too long).
    """

    ORDERS = 1
    WORK = 2
    END = 3
    READY = 4
    BATCH = 5
    DONE = 6
    FAILED = 7
    DIED = 8


@dataclass(frozen=True)
class Message:
    """One message. body: bytes, a pickle unless the kind is DIED (UTF-8 text)."""

    kind: Kind
    shard: int = NO_SHARD
    body: bytes = b""

    def encoded(self) -> bytes:
        """Return the message as bytes."""
        return _HEAD.pack(self.kind, self.shard) + self.body

    @classmethod
    def decoded(cls, data: bytes) -> Message:
        """Return the message that `encoded` made. Raises ValueError for bytes that are not a message."""
        if len(data) < _HEAD.size:
            raise ValueError(f"{len(data)} bytes are not a message")
        kind, shard = _HEAD.unpack_from(data)
        return cls(Kind(kind), shard, data[_HEAD.size :])
