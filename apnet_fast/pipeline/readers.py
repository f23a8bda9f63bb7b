"""Reading the files of a run in order, in this process or ahead of it in others."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType

from apnet_fast.errors import Stopped
from apnet_fast.spectra import Product, SpectrumBatch, read_spectra

# Files a reader may be ahead of the engine; a file of 20 visits takes 1.4 MB.
_AHEAD_PER_READER = 16


def _follow_parent() -> None:
    """In a reader: end when the run ends, however it ends, and leave signals to it.

    Ctrl-C and batch systems signal every process of a job; the run wants to finish its shard first.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def end_with_parent() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


class Readers:
    """A context that reads files: `readers` processes ahead of the engine, or this process if 0.

    Order is that of the files whatever the number of readers, and memory does not grow with their number.
    """

    def __init__(self, readers: int, products: Sequence[Product]) -> None:
        self._products = tuple(products)
        self._ahead = readers * _AHEAD_PER_READER
        # Not fork: this process runs threads of torch and numba, which a forked child would inherit broken.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(readers, mp_context=context, initializer=_follow_parent) if readers else None

    def read(self, files: Iterable[str]) -> Iterator[SpectrumBatch]:
        """Batches of the files, one a file, in order."""
        if self._pool is None:
            for path in files:
                yield read_spectra(path, self._products)
            return
        pending: deque[Future[SpectrumBatch]] = deque()
        try:
            for path in files:
                pending.append(self._pool.submit(read_spectra, path, self._products))
                if len(pending) >= self._ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise Stopped(
                "a reader process died",
                remedy="if memory was short, use fewer --readers; then give the same command again to go on",
            ) from error

    def __enter__(self) -> Readers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
