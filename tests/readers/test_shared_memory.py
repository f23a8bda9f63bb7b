"""A slab is one memory for two processes, and goes with them."""

from __future__ import annotations

import os

import numpy as np
import pytest

from apnet_fast.readers.children import SPAWN
from apnet_fast.readers.shared_memory import SLAB_BYTES, SLOT_SPECTRA, SLOTS, Slab
from apnet_fast.support.grid import PIXELS


def fill(slab: Slab) -> None:
    """What the other process does: mark every part of the slab."""
    slab.at[:] = 3, 4
    slab.since[0] = 5
    slab.flux[:] = np.arange(SLOTS, dtype=np.float32)[:, None, None]
    slab.error[-1, -1, -1] = 7


def test_what_a_spawned_process_writes_is_seen_here() -> None:
    slab = Slab()
    child = SPAWN.Process(target=fill, args=(slab,))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert (slab.at.tolist(), slab.since.tolist()) == ([3, 4], [5])
    assert slab.flux[:, 0, 0].tolist() == list(range(SLOTS))
    assert slab.error[-1, -1, -1] == 7
    assert not slab.error[:-1].any()
    slab.close()


def test_its_parts_do_not_overlap() -> None:
    slab = Slab()
    assert slab.flux.shape == slab.error.shape == (SLOTS, SLOT_SPECTRA, PIXELS)
    slab.flux[:], slab.error[:] = 1, 2
    assert not slab.at.any()
    assert not slab.since.any()
    assert np.all(slab.flux == 1)
    slab.close()


def test_closing_keeps_the_arrays_and_frees_the_descriptor() -> None:
    slab = Slab()
    descriptor = slab._descriptor
    assert os.fstat(descriptor).st_size == SLAB_BYTES
    slab.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    slab.flux[0, 0] = 1
    assert slab.flux[0, 0].sum() == PIXELS
