"""Read the files of a run in order, in this process or ahead of it in others."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from types import TracebackType

from apnet_fast.readers.children import SPAWN, start_child
from apnet_fast.readers.process import Assignment, Delivery, Read, serve_files
from apnet_fast.readers.shared_memory import Slab
from apnet_fast.spectra import Product, SpectrumBatch, concatenate, read_spectra
from apnet_fast.support.errors import Stopped

# Files per task, and tasks per reader. Slots bound a reader's memory; these numbers keep it busy.
_TASK_FILES = 8
_TASKS_AHEAD = 3
# Readers that a file may end before it is not opened again.
_MOST_DEATHS_OF_A_FILE = 2
# Readers that end before they open any file have another cause, such as a damaged installation.
_MOST_IDLE_DEATHS = 3
# Seconds per file: far more than any file takes, less than a user with a waiting GPU would bear.
READ_TIMEOUT = 600.0
_SECONDS_TO_END = 5.0
# How often to check on readers while the run waits for them.
_SECONDS_BETWEEN_LOOKS = 1.0


@dataclass
class _Task:
    """Hold files in order, how many have come, and those not yet handed on, each with a call that frees its slot."""

    number: int
    files: tuple[str, ...]
    come: int = 0
    ready: deque[tuple[SpectrumBatch, Callable[[], None] | None]] = field(default_factory=deque)
    pieces: list[SpectrumBatch] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return self.come == len(self.files)


class _Reader:
    """Hold a reader process, our end of its pipe, and its tasks, the current one first."""

    def __init__(self, products: Sequence[Product], read: Read, tasks: Iterable[_Task] = ()) -> None:
        self.tasks = deque(tasks)
        self.slab = Slab()
        self.slab.at[:] = -1
        self.pipe, other = SPAWN.Pipe()
        self.process = SPAWN.Process(target=serve_files, args=(other, self.slab, products, read), daemon=True)
        start_child(self.process)
        other.close()
        self.slab.close()

    def send(self, message: Assignment | int) -> None:
        # If it has died, `receive` finds out; it needs no slot freed then.
        with suppress(OSError):
            self.pipe.send(message)

    def assign(self, task: _Task, deadly: Iterable[str]) -> None:
        files = task.files[task.come :]
        self.send(Assignment(task.number, task.come, files, frozenset(deadly).intersection(files)))

    def receive(self) -> None:
        """Take in what has come. Raises EOFError if the process has ended."""
        while True:
            try:
                delivery = self.pipe.recv()
            except OSError as error:
                raise EOFError from error
            self._take(delivery)
            if not self.pipe.poll():
                return

    def _take(self, delivery: Delivery) -> None:
        task, start = self.tasks[0], 0
        slot = delivery.slot
        for number, records in enumerate(delivery.records, start=1):
            stop = start + len(records)
            batch = SpectrumBatch(self.slab.flux[slot, start:stop], self.slab.error[slot, start:stop], records)
            is_last, start = number == len(delivery.records), stop
            if not delivery.ends or task.pieces:
                task.pieces.append(SpectrumBatch(batch.flux.copy(), batch.error.copy(), records))
                if not delivery.ends:
                    self.send(slot)
                    return
                batch, task.pieces = concatenate(task.pieces), []
            task.ready.append((batch, (lambda: self.send(slot)) if is_last else None))
            task.come += 1
        if task.done:
            self.tasks.popleft()

    def end(self) -> None:
        self.pipe.close()
        self.process.join(_SECONDS_TO_END)
        if self.process.is_alive():
            self.process.kill()
            # Not for ever: the system cannot end a process that waits for a file system.
            self.process.join(_SECONDS_TO_END)


class Readers:
    """Read files with `readers` processes ahead of the engine, or in this process if 0; a context manager.

    Batches are in the order of the files, whatever the number of readers. Memory does not grow with the number of
    files: each reader has 13.2 MB to hand spectra over (`Slab`), besides its libraries. A reader that dies is
    replaced. Another reader tries its file once more; if that dies too, the file gets rows with the reason
    READER_DIED. No other file loses anything. A reader that takes more than `timeout` seconds for a file, as on a
    disk that does not answer, is ended and counts as dead; this process itself just waits. Raises Stopped if readers
    die before they read anything.
    """

    def __init__(
        self, readers: int, products: Sequence[Product], read: Read | None = None, *, timeout: float = READ_TIMEOUT
    ) -> None:
        self._products = tuple(products)
        self._read = read or read_spectra
        self._wanted = readers
        self._timeout = timeout
        self._readers: list[_Reader] = []
        self._deaths: Counter[str] = Counter()
        self._idle_deaths = 0
        self._submitted = 0
        self._waiting: deque[_Task] = deque()
        self._under_way: deque[_Task] = deque()
        self._free: Callable[[], None] | None = None

    def submit(self, files: Sequence[str]) -> None:
        """Add files to read after those submitted before."""
        for start in range(0, len(files), _TASK_FILES):
            self._waiting.append(_Task(self._submitted, tuple(files[start : start + _TASK_FILES])))
            self._submitted += 1

    @property
    def hungry(self) -> bool:
        """Return whether every submitted file has been given out, so that a reader may soon be idle."""
        return not self._waiting

    def next(self) -> SpectrumBatch:
        """Return the spectra of the next submitted file. The next call may overwrite them."""
        if self._free is not None:
            self._free()
            self._free = None
        if not self._wanted:
            return self._read_here()
        self._give_out()
        task = self._under_way[0]
        while not task.ready:
            self._receive()
        batch, self._free = task.ready.popleft()
        if task.done and not task.ready:
            self._under_way.popleft()
        return batch

    def read(self, files: Sequence[str]) -> Iterator[SpectrumBatch]:
        """Yield one batch per file, in order. The next one may overwrite it."""
        self.submit(files)
        for _ in files:
            yield self.next()

    def _read_here(self) -> SpectrumBatch:
        task = self._waiting[0]
        path = task.files[task.come]
        task.come += 1
        if task.done:
            self._waiting.popleft()
        return self._read(path, self._products)

    def _give_out(self) -> None:
        if not self._readers:
            self._readers = [_Reader(self._products, self._read) for _ in range(self._wanted)]
        while self._waiting and len(self._under_way) < self._wanted * _TASKS_AHEAD:
            task = self._waiting.popleft()
            self._under_way.append(task)
            reader = min(self._readers, key=lambda reader: len(reader.tasks))
            reader.tasks.append(task)
            reader.assign(task, self._deadly())

    def _receive(self) -> None:
        """Wait for any reader, and replace readers that have died."""
        pipes = {reader.pipe: number for number, reader in enumerate(self._readers)}
        come = connection.wait(pipes, _SECONDS_BETWEEN_LOOKS)
        for pipe in come:
            number = pipes[pipe]  # type: ignore[index]
            try:
                self._readers[number].receive()
            except EOFError:
                self._readers[number] = self._replacement(self._readers[number])
        if come:
            return
        now = time.monotonic_ns()
        for number, reader in enumerate(self._readers):
            began = int(reader.slab.since[0])
            if began and now - began > self._timeout * 1e9:
                reader.process.kill()
                self._readers[number] = self._replacement(reader)

    def _replacement(self, dead: _Reader) -> _Reader:
        task, place = (int(value) for value in dead.slab.at)
        if dead.tasks and dead.tasks[0].number == task and place >= 0:
            self._deaths[dead.tasks[0].files[place]] += 1
            self._idle_deaths = 0
        else:
            self._idle_deaths += 1
        dead.end()
        if self._idle_deaths > _MOST_IDLE_DEATHS:
            raise Stopped(
                "reader processes die before they read anything",
                got=f"{self._idle_deaths} of them",
                remedy="--readers 0 shows what is wrong; then give the same command again to go on",
            )
        for unfinished in dead.tasks:
            unfinished.pieces.clear()
        reader = _Reader(self._products, self._read, dead.tasks)
        for unfinished in reader.tasks:
            reader.assign(unfinished, self._deadly())
        return reader

    def _deadly(self) -> list[str]:
        return [path for path, deaths in self._deaths.items() if deaths >= _MOST_DEATHS_OF_A_FILE]

    def __enter__(self) -> Readers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for reader in self._readers:
            reader.end()
        self._readers = []
