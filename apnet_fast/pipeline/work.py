"""What a run hands to whoever computes its shards, and what it hears back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from apnet_fast.inputs.known_files import KnownFiles


@dataclass(frozen=True)
class Work:
    """A shard to compute. known: what tables know of its files, for those that cannot be read."""

    shard: int
    files: tuple[str, ...]
    known: KnownFiles = field(default_factory=KnownFiles, compare=False, repr=False)


@dataclass(frozen=True)
class Done:
    """What went through the engine at once, all of one shard: files, spectra, and spectra without a result."""

    shard: int
    files: int
    spectra: int
    failures: int


class WorkQueue(Protocol):
    """Where a `Computer` gets its shards."""

    def next(self, *, wait: bool) -> Work | None:
        """Return the next shard; None if none is ready (wait=False) or none remains (wait=True)."""

    def close(self) -> None:
        """End any waiting: no more shards are wanted."""


class WorkList:
    """A queue of shards that are known from the beginning."""

    def __init__(self, work: Iterable[Work]) -> None:
        self._rest = iter(work)

    def next(self, *, wait: bool) -> Work | None:
        """Return the next shard; None after the last."""
        return next(self._rest, None)

    def close(self) -> None:
        """Forget the rest."""
        self._rest = iter(())
