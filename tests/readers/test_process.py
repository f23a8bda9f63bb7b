"""A reader process's side of the pipe: deliveries, slots, and files that must not be opened."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import numpy as np
import pytest

from apnet_fast.readers import process
from apnet_fast.readers.process import Assignment, Delivery, serve_files
from apnet_fast.readers.shared_memory import SLOT_SPECTRA, SLOTS, Slab
from apnet_fast.spectra import Product, Reason, SpectrumBatch, SpectrumRecord
from apnet_fast.spectra.identity import StarIdentity, VisitName
from apnet_fast.support.grid import PIXELS

STAR = StarIdentity("dr17", "dr17", "apo25m", "K05", -1, "ap", "2M0", "")


def fake_read(path: str, products: Sequence[Product]) -> SpectrumBatch:
    """A file named N gives N spectra, each filled with its row number."""
    n = int(path)
    values = np.repeat(np.arange(n, dtype=np.float32)[:, None], PIXELS, axis=1)
    records = [SpectrumRecord("visit", path, row, STAR, VisitName(), 1.0, 0.0, 0.0, n) for row in range(n)]
    return SpectrumBatch(values, values + 1000, records)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Connection, Slab]]:
    """Our end of the pipe and the slab of a server that runs in a thread until the pipe is closed."""
    monkeypatch.setattr(process, "follow_parent", lambda: None)
    ours, theirs = Pipe()
    slab = Slab()
    server = threading.Thread(target=serve_files, args=(theirs, slab, ("visit",), fake_read))
    server.start()
    yield ours, slab
    ours.close()
    server.join(10)
    slab.close()
    assert not server.is_alive()


def delivered(ours: Connection) -> Delivery:
    assert ours.poll(10)
    return ours.recv()


def paths(delivery: Delivery) -> list[str]:
    return [records[0].path for records in delivery.records]


def test_files_of_a_task_come_in_one_delivery_with_their_spectra(served: tuple[Connection, Slab]) -> None:
    ours, slab = served
    ours.send(Assignment(7, 0, ("2", "3"), frozenset()))
    delivery = delivered(ours)
    assert paths(delivery) == ["2", "3"]
    assert delivery.ends
    assert slab.flux[delivery.slot, :5, 0].tolist() == [0, 1, 0, 1, 2]
    assert slab.error[delivery.slot, :5, -1].tolist() == [1000, 1001, 1000, 1001, 1002]


def test_files_that_fill_a_slot_go_out_before_the_next(served: tuple[Connection, Slab]) -> None:
    ours, _ = served
    ours.send(Assignment(0, 0, (str(SLOT_SPECTRA - 1), "1", "1"), frozenset()))
    assert [paths(delivered(ours)) for _ in range(2)] == [[str(SLOT_SPECTRA - 1), "1"], ["1"]]


def test_a_file_larger_than_a_slot_comes_in_pieces(served: tuple[Connection, Slab]) -> None:
    ours, slab = served
    ours.send(Assignment(0, 0, (str(SLOT_SPECTRA + 3),), frozenset()))
    first, second = delivered(ours), delivered(ours)
    assert [first.ends, second.ends] == [False, True]
    assert [len(first.records[0]), len(second.records[0])] == [SLOT_SPECTRA, 3]
    assert slab.flux[second.slot, :3, 0].tolist() == [SLOT_SPECTRA, SLOT_SPECTRA + 1, SLOT_SPECTRA + 2]


def test_a_slot_is_used_again_only_when_it_is_free(served: tuple[Connection, Slab]) -> None:
    ours, _ = served
    ours.send(Assignment(0, 0, (str(SLOT_SPECTRA),) * (SLOTS + 1), frozenset()))
    slots = [delivered(ours).slot for _ in range(SLOTS)]
    assert sorted(slots) == list(range(SLOTS))
    assert not ours.poll(0.2)
    ours.send(slots[1])
    assert delivered(ours).slot == slots[1]


def test_a_deadly_file_is_not_opened(served: tuple[Connection, Slab]) -> None:
    ours, _ = served
    ours.send(Assignment(0, 0, ("1", "deadly"), frozenset(["deadly"])))
    records = delivered(ours).records[1]
    assert [(record.path, record.reason) for record in records] == [("deadly", Reason.READER_DIED)]


def test_the_slab_tells_which_file_is_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "follow_parent", lambda: None)
    ours, theirs = Pipe()
    slab, seen = Slab(), []

    def look(read: Callable[..., SpectrumBatch]) -> Callable[..., SpectrumBatch]:
        def read_and_look(path: str, products: Sequence[Product]) -> SpectrumBatch:
            seen.append((*slab.at.tolist(), slab.since[0] > 0))
            return read(path, products)

        return read_and_look

    server = threading.Thread(target=serve_files, args=(theirs, slab, ("visit",), look(fake_read)))
    server.start()
    ours.send(Assignment(5, 2, ("1", "1"), frozenset()))
    delivered(ours)
    ours.close()
    server.join(10)
    slab.close()
    assert seen == [(5, 2, True), (5, 3, True)]
    assert (slab.at.tolist(), int(slab.since[0])) == ([-1, -1], 0)
