"""Write packs: read every source once, in order, and write the spectra into the files of a pack."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from apnet_fast.inputs.words import Inputs, resolve_inputs
from apnet_fast.readers.pool import Readers
from apnet_fast.spectra import SpectrumBatch, concatenate
from apnet_fast.spectra.apstar import BOTH
from apnet_fast.spectra.pack import (
    LOG,
    MANIFEST,
    PACK_SUFFIX,
    Manifest,
    PackedFile,
    is_pack,
    load_manifest,
    write_pack_file,
)
from apnet_fast.support.attempts import PARTIAL
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import written_whole
from apnet_fast.support.lock import locked
from apnet_fast.support.progress import RunProgress, say
from apnet_fast.support.stopping import StopRequest


@dataclass(frozen=True)
class PackArguments:
    """Hold the arguments of `pack`; see its --help. Raises UsageError if a value makes no sense."""

    inputs: tuple[str, ...]
    output: Path
    root: Path | None = None
    readers: int = 0
    spectra_per_file: int = 256
    restart: bool = False

    def __post_init__(self) -> None:
        if not self.inputs:
            raise UsageError("no input", expected="apStar files, folders or @list.txt", remedy="name at least one")
        for name, value, least in (("--readers", self.readers, 0), ("--spectra-per-file", self.spectra_per_file, 1)):
            if value < least:
                raise UsageError(f"{name} is too small", got=value, expected=f"at least {least}")


@dataclass(frozen=True)
class _Entry:
    """Describe a written file: its name, its manifest entry, and its number of sources and failures."""

    name: str
    file: PackedFile
    sources: int
    without_data: int


def pack(arguments: PackArguments) -> Manifest:
    """Pack the spectra of the inputs, or go on where an earlier command stopped. Return the pack's manifest.

    Sources are in the order of a run over the same inputs. Each file holds whole sources, with `spectra_per_file`
    spectra or a few more. A source that cannot be read is packed as the rows it would get in a run.

    Raises UsageError (wrong arguments, or an output that holds another pack or sources) and Stopped (a signal).
    """
    inputs = resolve_inputs(arguments.inputs, str(arguments.root) if arguments.root else None)
    _check_apart(inputs.files, arguments.output)
    arguments.output.mkdir(parents=True, exist_ok=True)
    with locked(arguments.output):
        if arguments.restart:
            _discard(arguments.output)
        elif is_pack(str(arguments.output)):
            return _finished(arguments, inputs)
        return _Packing(arguments, inputs).go()


def _check_apart(sources: Sequence[str], output: Path) -> None:
    """Raise UsageError if a source lies in the output folder, because packing may discard its contents."""
    where = output.resolve()
    for folder in {os.path.dirname(path) for path in sources}:
        if Path(folder).resolve().is_relative_to(where):
            raise UsageError(
                "the output folder holds what is to be packed",
                got=str(output),
                expected="a folder of the pack's own",
                remedy="give another --output",
                where=folder or os.curdir,
            )


def _finished(arguments: PackArguments, inputs: Inputs) -> Manifest:
    output = arguments.output
    manifest = load_manifest(output)
    if manifest.inputs != inputs.digest:
        raise _another_pack(output, manifest.inputs, inputs.digest)
    if manifest.spectra_per_file != arguments.spectra_per_file:
        got, expected = (f"--spectra-per-file {n}" for n in (manifest.spectra_per_file, arguments.spectra_per_file))
        raise _another_pack(output, got, expected)
    say(f"complete already: {output}")
    return manifest


def _another_pack(output: Path, got: str, expected: str) -> UsageError:
    return UsageError(
        "the output folder holds another pack",
        got=got,
        expected=expected,
        remedy="give another --output, or --restart to discard what is there",
        where=str(output),
    )


def _discard(output: Path) -> None:
    """Delete a pack. The manifest goes first: without it the rest is no pack."""
    (output / MANIFEST).unlink(missing_ok=True)
    (output / LOG).unlink(missing_ok=True)
    for file in output.glob(f"*{PACK_SUFFIX}"):
        file.unlink()


class _Packing:
    def __init__(self, arguments: PackArguments, inputs: Inputs) -> None:
        self.arguments, self.sources = arguments, inputs.files
        self.output = arguments.output
        # A log with this head lists which sources are in which files.
        self.head = {"inputs": inputs.digest, "spectra_per_file": arguments.spectra_per_file}
        self.entries = self._resumed()

    def go(self) -> Manifest:
        for leftover in self.output.glob(f"*{PARTIAL}"):
            leftover.unlink()
        self._rewrite_log()
        done = sum(entry.sources for entry in self.entries)
        if done:
            say(f"{done} of {len(self.sources)} files are packed already")
        with (
            StopRequest("file of the pack") as stop,
            Readers(self.arguments.readers, BOTH) as readers,
            RunProgress(len(self.sources), done, label="pack") as progress,
        ):
            for sources, batch in self._batches(readers.read(self.sources[done:])):
                self._write(sources, batch)
                progress.advance(sources, len(batch), self.entries[-1].without_data)
                stop.check()
        without_data = sum(entry.without_data for entry in self.entries)
        files = {entry.name: entry.file for entry in self.entries}
        manifest = Manifest(str(self.head["inputs"]), without_data, files, self.arguments.spectra_per_file)
        manifest.write(self.output)
        (self.output / LOG).unlink()
        return manifest

    def _batches(self, sources: Iterator[SpectrumBatch]) -> Iterator[tuple[int, SpectrumBatch]]:
        """Yield the number of sources and the spectra of each file to write."""
        gathered: list[SpectrumBatch] = []
        for batch in chain(sources, [None]):
            if batch is not None:
                # Copy: readers may use the memory again.
                gathered.append(SpectrumBatch(np.array(batch.flux), np.array(batch.error), batch.records))
            spectra = sum(map(len, gathered))
            if spectra >= self.arguments.spectra_per_file or (batch is None and spectra):
                yield len(gathered), concatenate(gathered)
                gathered = []

    def _write(self, sources: int, batch: SpectrumBatch) -> None:
        name = f"{len(self.entries):06d}{PACK_SUFFIX}"
        file = write_pack_file(self.output / name, batch)
        entry = _Entry(name, file, sources, len(batch) - int(batch.usable.sum()))
        with (self.output / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(asdict(entry)) + "\n")
            log.flush()
            os.fsync(log.fileno())
        self.entries.append(entry)

    def _resumed(self) -> list[_Entry]:
        """Return the entries of an earlier command's log, up to the first that is torn or whose file is missing."""
        try:
            head, *lines = (self.output / LOG).read_text(encoding="utf-8").splitlines() or [""]
        except FileNotFoundError:
            return []
        entries: list[_Entry] = []
        try:
            if json.loads(head) != self.head:
                raise _another_pack(self.output, head, json.dumps(self.head))
            for line in lines:
                stored = json.loads(line)
                entry = _Entry(**(stored | {"file": PackedFile(**stored["file"])}))
                if (self.output / entry.name).stat().st_size != entry.file.bytes:
                    break
                entries.append(entry)
        except (ValueError, KeyError, TypeError, FileNotFoundError):
            pass
        return entries

    def _rewrite_log(self) -> None:
        with written_whole(self.output / LOG) as partial:
            lines = [self.head, *(asdict(entry) for entry in self.entries)]
            partial.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
