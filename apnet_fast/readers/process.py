"""Run a reader process: tasks come through a pipe, spectra leave through shared memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from apnet_fast.readers.children import follow_parent
from apnet_fast.readers.shared_memory import SLOT_SPECTRA, SLOTS, Slab
from apnet_fast.spectra import Product, Reason, SpectrumBatch, SpectrumRecord
from apnet_fast.spectra.reading import unread_spectra

Read = Callable[[str, Sequence[Product]], SpectrumBatch]


@dataclass(frozen=True)
class Assignment:
    """Assign files to read, of the task with that number. deadly: files that ended readers and must not be opened."""

    task: int
    first: int
    files: tuple[str, ...]
    deadly: frozenset[str]


@dataclass(frozen=True)
class Delivery:
    """Deliver files that were read: the records of each; their spectra follow each other in a slot.

    ends: whether the last file ends here; False if the rest of a file too large for a slot follows.
    """

    slot: int
    records: tuple[tuple[SpectrumRecord, ...], ...]
    ends: bool = True


def serve_files(connection: Connection, slab: Slab, products: Sequence[Product], read: Read) -> None:
    """Read what is assigned until the other end closes the pipe."""
    follow_parent()
    # These mean that the run is over.
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _Server(connection, slab, products, read).go()


class _Server:
    def __init__(self, connection: Connection, slab: Slab, products: Sequence[Product], read: Read) -> None:
        self.connection, self.slab, self.products, self.read = connection, slab, products, read
        self.free = deque(range(SLOTS))
        self.assigned: deque[Assignment] = deque()
        self.gathered: list[SpectrumBatch] = []

    def go(self) -> None:
        while True:
            while not self.assigned:
                self._receive()
            work = self.assigned.popleft()
            for number, path in enumerate(work.files, start=work.first):
                self.slab.at[:] = work.task, number
                if path in work.deadly:
                    text = "two reader processes died while they read this file, or were ended because it took too long"
                    self._add(unread_spectra(path, self.products, Reason.READER_DIED, text))
                    continue
                self.slab.since[0] = time.monotonic_ns()
                batch = self.read(path, self.products)
                self.slab.since[0] = 0
                self._add(batch)
            self._deliver()
            self.slab.at[:] = -1

    def _receive(self) -> None:
        """Receive one message: more work, or the number of a slot that is free again."""
        message = self.connection.recv()
        if isinstance(message, Assignment):
            self.assigned.append(message)
        else:
            self.free.append(message)

    def _add(self, batch: SpectrumBatch) -> None:
        if sum(map(len, self.gathered)) + len(batch) > SLOT_SPECTRA:
            self._deliver()
        while len(batch) > SLOT_SPECTRA:
            part, batch = (
                SpectrumBatch(batch.flux[rows], batch.error[rows], batch.records[rows])
                for rows in (slice(SLOT_SPECTRA), slice(SLOT_SPECTRA, None))
            )
            self.gathered = [part]
            self._deliver(ends=False)
        self.gathered.append(batch)

    def _deliver(self, *, ends: bool = True) -> None:
        if not self.gathered:
            return
        while not self.free:
            self._receive()
        slot, start = self.free.popleft(), 0
        for batch in self.gathered:
            stop = start + len(batch)
            self.slab.flux[slot, start:stop] = batch.flux
            self.slab.error[slot, start:stop] = batch.error
            start = stop
        self.connection.send(Delivery(slot, tuple(tuple(batch.records) for batch in self.gathered), ends))
        self.gathered = []
