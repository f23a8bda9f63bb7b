"""Readers: order, number and processes change nothing; a reader that dies costs nothing but the file that killed it."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.readers.pool import Readers
from apnet_fast.readers.shared_memory import SLAB_BYTES, SLOT_SPECTRA, SLOTS
from apnet_fast.simulate import simulate_tree
from apnet_fast.spectra import Product, Reason, SpectrumBatch, read_apstar
from apnet_fast.support.errors import Stopped
from apnet_fast.support.grid import PIXELS
from tests.pipeline.children import watch_children

BOTH: tuple[Product, ...] = ("star", "visit")


def copies(pool: Readers, files: Sequence[str]) -> list[SpectrumBatch]:
    """Batches of the files; each is copied, since the next may overwrite it."""
    return [SpectrumBatch(batch.flux.copy(), batch.error.copy(), batch.records) for batch in pool.read(files)]


def assert_as_read(batches: Sequence[SpectrumBatch], files: Sequence[str]) -> None:
    assert [batch.records[0].path for batch in batches] == list(files)
    for path, batch in zip(files, batches, strict=True):
        expected = read_apstar(path, BOTH)
        assert repr(list(batch.records)) == repr(list(expected.records))
        np.testing.assert_array_equal(batch.flux, expected.flux)
        np.testing.assert_array_equal(batch.error, expected.error)


@pytest.mark.parametrize("readers", [0, 2])
def test_batches_come_in_the_order_of_the_files(tree: Path, readers: int) -> None:
    files = [*reversed(resolve_inputs([str(tree)]).files), str(tree / "gone.fits")] * 5
    with Readers(readers, BOTH) as pool:
        assert_as_read(copies(pool, files), files)


def test_reading_may_stop_early(tree: Path) -> None:
    files = resolve_inputs([str(tree)]).files
    with Readers(2, ("star",)) as pool:
        first = next(pool.read(files))
        path = first.records[0].path
    assert path == files[0]


def test_files_that_do_not_fit_a_slot(tmp_path: Path) -> None:
    """152 visits fill three slots; what comes before and behind is not mixed up with them."""
    few = simulate_tree(tmp_path / "few", stars=2, layout="sdss5", visits=1, seed=1)
    many = simulate_tree(tmp_path / "many", stars=1, layout="sdss5", visits=2 * SLOT_SPECTRA + 24, seed=2)
    small, large = (list(resolve_inputs([str(tree)]).files) for tree in (few, many))
    files = [small[0], *large, small[1], *large, *large, small[0]]
    with Readers(1, BOTH) as pool:
        assert_as_read(copies(pool, files), files)


def test_memory_is_what_is_stated() -> None:
    assert 13.1e6 < SLAB_BYTES < 13.3e6
    assert SLAB_BYTES == 4096 + SLOTS * SLOT_SPECTRA * PIXELS * 8


def crash(path: str) -> None:
    """A segmentation fault inside C code."""
    ctypes.string_at(0)


def kill(path: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash_at_third(path: str, products: Sequence[Product]) -> SpectrumBatch:
    """In place of the reader: two files of the tree end the process, whatever process it is."""
    if path.endswith("third.fits"):
        crash(path)
    if path.endswith("sixth.fits"):
        kill(path)
    return read_apstar(path, products)


def kill_once(path: str, products: Sequence[Product]) -> SpectrumBatch:
    """In place of the reader: the first process to come to the third file dies there."""
    if path.endswith("third.fits") and not os.path.exists(path + ".seen"):
        Path(path + ".seen").touch()
        kill(path)
    return read_apstar(path, products)


def hang_at_third(path: str, products: Sequence[Product]) -> SpectrumBatch:
    """In place of the reader: the disk never answers for one file, and for another not at first."""
    if path.endswith("third.fits") or (path.endswith("fifth.fits") and not os.path.exists(path + ".seen")):
        Path(path + ".seen").touch()
        time.sleep(3600)
    # Not the compiled reader, which a busy machine loads for more than the seconds that a file has here.
    return read_apstar(path, products, direct=False)


@pytest.fixture
def seven(tree: Path, tmp_path: Path) -> list[str]:
    """The seven stars of the tree under names that say their order."""
    names = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh"]
    paths = []
    for name, source in zip(names, resolve_inputs([str(tree)]).files, strict=True):
        paths.append(str(tmp_path / f"{name}.fits"))
        os.link(source, paths[-1])
    return paths


@pytest.mark.slow
def test_a_file_that_kills_its_readers_is_quarantined_alone(seven: list[str]) -> None:
    files = seven * 3  # over several tasks, so that the file comes again when it is known
    with Readers(2, BOTH, crash_at_third) as pool:
        batches = copies(pool, files)
    assert [batch.records[0].path for batch in batches] == files
    for path, batch in zip(files, batches, strict=True):
        if path in (seven[2], seven[5]):
            assert [record.reason for record in batch.records] == [Reason.READER_DIED] * 2
            assert np.isnan(batch.flux).all()
        else:
            assert_as_read([batch], [path])


def test_a_reader_that_dies_once_costs_nothing(seven: list[str]) -> None:
    with Readers(1, BOTH, kill_once) as pool:
        assert_as_read(copies(pool, seven), seven)
    assert os.path.exists(seven[2] + ".seen")


def test_a_reader_that_is_killed_between_files_costs_nothing(tree: Path, tmp_path: Path) -> None:
    # Each file once: two readers may die in one and the same file, if it is named twice, and it counts as deadly.
    names = [Path(file).relative_to(tree) for file in resolve_inputs([str(tree)]).files]
    for number in range(12):
        (tmp_path / str(number)).symlink_to(tree)
    files = [str(tmp_path / str(number) / name) for number in range(12) for name in names]
    batches = []
    with Readers(2, BOTH) as pool:
        for number, batch in enumerate(pool.read(files)):
            batches.append(SpectrumBatch(batch.flux.copy(), batch.error.copy(), batch.records))
            if number == 20:
                for reader in pool._readers:
                    os.kill(reader.process.pid or 0, signal.SIGKILL)
    assert_as_read(batches, files)


@pytest.mark.slow
def test_a_file_that_never_comes_is_quarantined_alone(seven: list[str]) -> None:
    with Readers(2, BOTH, hang_at_third, timeout=1.0) as pool:
        batches = copies(pool, seven)
    assert [record.reason for record in batches[2].records] == [Reason.READER_DIED] * 2
    del batches[2], seven[2]
    assert_as_read(batches, seven)


@pytest.mark.slow
def test_readers_that_wait_for_the_run_are_left_alone(tree: Path) -> None:
    files = list(resolve_inputs([str(tree)]).files) * 12
    with Readers(2, BOTH, timeout=2.0) as pool:
        batches = []
        for number, batch in enumerate(pool.read(files)):
            if number == 10:
                processes = [reader.process.pid for reader in pool._readers]
            if number == 20:
                time.sleep(3.5)
            batches.append(SpectrumBatch(batch.flux.copy(), batch.error.copy(), batch.records))
        assert [reader.process.pid for reader in pool._readers] == processes
    assert_as_read(batches, files)


class DiesWhenItComes:
    """A reader function that no process survives receiving."""

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        return os._exit, (7,)

    def __call__(self, path: str, products: Sequence[Product]) -> SpectrumBatch:
        raise AssertionError


def test_readers_that_cannot_start_stop_the_run(tree: Path) -> None:
    with pytest.raises(Stopped, match="before they read anything"), Readers(1, BOTH, DiesWhenItComes()) as pool:
        copies(pool, resolve_inputs([str(tree)]).files)


def test_no_process_is_left(tree: Path) -> None:
    new_children = watch_children()
    with Readers(2, BOTH) as pool:
        iterator = pool.read(resolve_inputs([str(tree)]).files)
        next(iterator)
        numbers = [reader.process.pid for reader in pool._readers]
    for number in numbers:
        with pytest.raises(ProcessLookupError):
            os.kill(number or 0, 0)
    assert new_children() == []
