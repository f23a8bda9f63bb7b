"""Reading the files of a run in order, in this process or ahead of it in others."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from types import TracebackType

from apnet_fast.readers.children import SPAWN
from apnet_fast.readers.process import Assignment, Delivery, Read, serve
from apnet_fast.readers.shared_memory import Slab
from apnet_fast.spectra import Product, SpectrumBatch, concatenate, read_spectra
from apnet_fast.support.errors import Stopped

# Files of a task, and tasks a reader may have before it: its slots bound the memory, these keep it busy.
_TASK_FILES = 8
_TASKS_AHEAD = 3
# A file that has ended so many readers is not opened again.
_MOST_DEATHS = 2
# Readers that end before they are at any file do so for another reason, such as a damaged installation.
_MOST_IDLE_DEATHS = 3
# Seconds for one file. Far more than any takes; less than the patience of whoever pays for the GPU that waits.
READ_TIMEOUT = 600.0
_SECONDS_TO_END = 5.0
# How often readers are looked at that keep the run waiting.
_SECONDS_BETWEEN_LOOKS = 1.0


@dataclass
class _Task:
    """Files in order; how many of them have come; and those not handed on, each with what frees its slot."""

    number: int
    files: tuple[str, ...]
    come: int = 0
    ready: deque[tuple[SpectrumBatch, Callable[[], None] | None]] = field(default_factory=deque)
    pieces: list[SpectrumBatch] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return self.come == len(self.files)


class _Reader:
    """A reader process, its end of the pipe and the tasks it has, the one it is at first."""

    def __init__(self, products: Sequence[Product], read: Read, tasks: Iterable[_Task] = ()) -> None:
        self.tasks = deque(tasks)
        self.slab = Slab()
        self.slab.at[:] = -1
        self.pipe, other = SPAWN.Pipe()
        self.process = SPAWN.Process(target=serve, args=(other, self.slab, products, read), daemon=True)
        self.process.start()
        other.close()
        self.slab.close()

    def send(self, message: Assignment | int) -> None:
        # Where it has died, that is found where its deliveries are awaited, if it is not yet; it needs no slot freed.
        with suppress(OSError):
            self.pipe.send(message)

    def assign(self, task: _Task, deadly: Iterable[str]) -> None:
        files = task.files[task.come :]
        self.send(Assignment(task.number, task.come, files, frozenset(deadly).intersection(files)))

    def receive(self) -> None:
        """Take in what has come. Raises EOFError where the process has ended."""
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
            # Not for ever: the system does not end a process that waits for a file system until that answers.
            self.process.join(_SECONDS_TO_END)


class Readers:
    """A context that reads files: `readers` processes ahead of the engine, or this process if 0.

    Order is that of the files whatever the number of readers. Memory does not grow with the number of files: each
    reader has 13.2 MB to hand spectra over in (`slabs`), beside what its libraries take. A reader that dies is
    replaced. The file it was at is tried once more by another, and where that dies too gets rows with the reason
    READER_DIED; no other file loses anything. The same goes for one that is at a file for more than `timeout` seconds,
    as on a disk that does not answer; where this process reads, it is waited for. Raises Stopped where readers die
    that read nothing.
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
        """Files to read behind those submitted before."""
        for start in range(0, len(files), _TASK_FILES):
            self._waiting.append(_Task(self._submitted, tuple(files[start : start + _TASK_FILES])))
            self._submitted += 1

    @property
    def hungry(self) -> bool:
        """Whether every file that was submitted has been given out, so that a reader may be idle soon."""
        return not self._waiting

    def next(self) -> SpectrumBatch:
        """The spectra of the next file, which must have been submitted. The next call may overwrite them."""
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
        """Batches of the files, one a file, in order; each may be overwritten when the next is asked for."""
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
        """Wait for any reader, and replace those that have died."""
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
        return [path for path, deaths in self._deaths.items() if deaths >= _MOST_DEATHS]

    def __enter__(self) -> Readers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for reader in self._readers:
            reader.end()
        self._readers = []
