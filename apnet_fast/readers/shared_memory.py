"""Share memory between a reader process and the run: slots of spectra, and the current file."""

from __future__ import annotations

import mmap
import os
import tempfile
from multiprocessing import reduction

import numpy as np
from numpy.typing import NDArray

from apnet_fast.support.grid import PIXELS

# Spectra per slot (4.4 MB) and slots per reader: one is read, one is filled and one waits.
SLOT_SPECTRA = 64
SLOTS = 3
_PAGE = 4096
_SLOT_BYTES = 2 * 4 * SLOT_SPECTRA * PIXELS
SLAB_BYTES = _PAGE + SLOTS * _SLOT_BYTES


class Slab:
    """Hold the shared memory of one reader. It has no name, so it goes with both processes, however they end.

    at: int64 (2,), the numbers of the reader's current task and of the file in it; -1 if there is none.
    since: int64 (1,), when it began to read that file [ns, monotonic clock]; 0 while it reads none.
    flux, error: float32 (SLOTS, SLOT_SPECTRA, 8575).
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = _anonymous_file(SLAB_BYTES) if descriptor is None else descriptor
        # The mapping outlives the descriptor, and its arrays keep it alive.
        memory = mmap.mmap(self._descriptor, SLAB_BYTES)
        self.at = np.frombuffer(memory, np.int64, 2)
        self.since = np.frombuffer(memory, np.int64, 1, offset=16)
        spectra = np.frombuffer(memory, np.float32, offset=_PAGE).reshape(SLOTS, 2, SLOT_SPECTRA, PIXELS)
        self.flux: NDArray[np.float32] = spectra[:, 0]
        self.error: NDArray[np.float32] = spectra[:, 1]

    def close(self) -> None:
        """Close the descriptor. The memory stays as long as its arrays."""
        os.close(self._descriptor)

    def __reduce__(self) -> tuple[object, tuple[object]]:
        """Pickle for a process that is being spawned, which then has the same memory."""
        return _from_parent, (reduction.DupFd(self._descriptor),)


def _from_parent(descriptor: object) -> Slab:
    return Slab(descriptor.detach())  # type: ignore[attr-defined]


def _anonymous_file(size: int) -> int:
    """Return a descriptor of memory; not in /dev/shm, which may hold only 64 MB in containers."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("apnet_fast")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
