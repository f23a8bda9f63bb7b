"""Write packs: read every source once, in order, and write the spectra into the files of a pack."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from pathlib import Path

import msgspec
import numpy as np

from apnet_fast.inputs.words import Inputs, resolve_inputs
from apnet_fast.readers.pool import Readers
from apnet_fast.spectra import SpectrumBatch, concatenate
from apnet_fast.spectra.apstar import BOTH
from apnet_fast.spectra.pack import (
    LOG,
    MANIFEST,
    MOST_SPECTRA,
    PACK_SUFFIX,
    VERSION,
    FileName,
    Manifest,
    Number,
    PackedFile,
    files_of_manifest,
    is_manifest_of_a_pack,
    is_pack,
    load_manifest,
    write_pack_file,
)
from apnet_fast.support.attempts import PARTIAL
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import append_line, written_whole
from apnet_fast.support.lock import is_lock, locked
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
        if self.spectra_per_file > MOST_SPECTRA // 2:
            raise UsageError("--spectra-per-file is too large", got=self.spectra_per_file, expected="at most 50000")


def pack(arguments: PackArguments) -> Manifest:
    """Pack the spectra of the inputs, or go on where an earlier command stopped. Return the pack's manifest.

    Sources are in the order of a run over the same inputs. Each file holds whole sources, with `spectra_per_file`
    spectra or a few more. A source that cannot be read is packed as the rows it would get in a run.

    Raises UsageError (wrong arguments, or an output that holds another pack or sources) and Stopped (a signal).
    """
    inputs = resolve_inputs(arguments.inputs, str(arguments.root) if arguments.root else None)
    _check_apart(inputs.files, arguments.output)
    arguments.output.mkdir(parents=True, exist_ok=True)
    _check_ours(arguments.output)
    with StopRequest("file of the pack") as stop, locked(arguments.output, on_loss=stop.request):
        if arguments.restart:
            _discard(arguments.output)
        elif is_pack(str(arguments.output)):
            return _finished(arguments, inputs)
        return _Packing(arguments, inputs).go(stop)


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


def _check_ours(output: Path) -> None:
    """Raise UsageError if the folder holds anything, and neither the manifest nor the log of a pack."""
    there = sorted(path.name for path in output.iterdir() if not is_lock(path.name))
    if there and not is_manifest_of_a_pack(output) and _Log.read(output).head is None:
        raise UsageError(
            "the output folder is not empty, and no pack",
            got=", ".join(there[:5]) + (f" and {len(there) - 5} more" if len(there) > 5 else ""),
            expected="an empty folder, a new one, or a pack",
            remedy="give another --output; nothing in this one is changed",
            where=str(output),
        )


def _discard(output: Path) -> None:
    """Delete a pack: the files that its manifest or its log lists, and nothing else.

    At any moment a manifest or a log is there, so that a killed command leaves a folder that is still a pack's.
    """
    names = {*files_of_manifest(output), *_Log.read(output).names}
    _write_log(output, [_Head("discarded", 0), *(_Begun(name) for name in sorted(names))])
    (output / MANIFEST).unlink(missing_ok=True)
    for name in (*sorted(names), MANIFEST, LOG):
        (output / (name + PARTIAL)).unlink(missing_ok=True)
    for name in (*sorted(names), LOG):
        (output / name).unlink(missing_ok=True)


def _write_log(output: Path, lines: Sequence[msgspec.Struct]) -> None:
    with written_whole(output / LOG) as partial:
        partial.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Describe a written file: its name, its manifest entry, and its number of sources and failures."""

    name: FileName
    file: PackedFile
    sources: Number
    without_data: Number


class _Begun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Claim the name of the file that is written next: from then on a file of this name is the pack's."""

    begins: FileName


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tell which pack a log is of. Packs of version 2 had no version in their log."""

    inputs: str
    spectra_per_file: Number = 0
    version: int = 2


@dataclass
class _Log:
    """Hold what the log of an unfinished pack lists.

    head: None if there is no log of a pack. names: of all files, begun or whole.
    """

    head: _Head | None
    entries: list[_Entry]
    names: list[str]

    @classmethod
    def read(cls, output: Path) -> _Log:
        """Read the log, up to the first line that is torn."""
        log = cls(None, [], [])
        if not (output / LOG).is_file():
            return log
        lines = (output / LOG).read_bytes().split(b"\n")
        try:
            log.head = msgspec.json.decode(lines[0], type=_Head)
            for line in lines[1:-1]:
                if line.startswith(b'{"begins"'):
                    log.names.append(msgspec.json.decode(line, type=_Begun).begins)
                else:
                    log.entries.append(msgspec.json.decode(line, type=_Entry))
                    log.names.append(log.entries[-1].name)
        except (msgspec.DecodeError, RecursionError):
            pass
        return log


class _Packing:
    """Pack the sources that are not packed yet."""

    def __init__(self, arguments: PackArguments, inputs: Inputs) -> None:
        self.arguments, self.sources = arguments, inputs.files
        self.output = arguments.output
        # A log with this head lists which sources are in which files.
        self.head = _Head(inputs.digest, arguments.spectra_per_file, VERSION)
        log = _Log.read(self.output)
        if log.head not in (None, self.head):
            raise _another_pack(self.output, _words(log.head), _words(self.head))
        self.claimed = set(log.names)
        self.entries = list(takewhile(self._is_there, log.entries))

    def go(self, stop: StopRequest) -> Manifest:
        """Write the files that are missing, and the manifest."""
        self._rewrite_log()
        done = sum(entry.sources for entry in self.entries)
        if done:
            say(f"{done} of {len(self.sources)} files are packed already")
        with (
            Readers(self.arguments.readers, BOTH) as readers,
            RunProgress(len(self.sources), done, label="pack") as progress,
        ):
            for sources, batch in self._batches(readers.read(self.sources[done:])):
                self._write(sources, batch)
                progress.advance(sources, len(batch), self.entries[-1].without_data)
                stop.check()
        without_data = sum(entry.without_data for entry in self.entries)
        files = {entry.name: entry.file for entry in self.entries}
        manifest = Manifest(self.head.inputs, without_data, files, self.arguments.spectra_per_file)
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
        self._claim(name)
        file = write_pack_file(self.output / name, batch)
        entry = _Entry(name, file, sources, len(batch) - int(batch.usable.sum()))
        self._log(entry)
        self.entries.append(entry)

    def _claim(self, name: str) -> None:
        """Log the name of a file before it is written. Raises UsageError if a file of that name is not the pack's."""
        if name in self.claimed:
            return
        for there in (name, name + PARTIAL):
            if os.path.lexists(self.output / there):
                raise UsageError(
                    "a file that the pack did not write has the name of one that it needs",
                    got=there,
                    remedy="move it elsewhere, then give the same command again; or give another --output",
                    where=str(self.output),
                )
        self._log(_Begun(name))
        self.claimed.add(name)

    def _log(self, line: _Entry | _Begun) -> None:
        append_line(self.output / LOG, msgspec.json.encode(line))

    def _is_there(self, entry: _Entry) -> bool:
        try:
            return (self.output / entry.name).stat().st_size == entry.file.bytes
        except FileNotFoundError:
            return False

    def _rewrite_log(self) -> None:
        """Write the log anew without torn lines; names that are claimed stay so."""
        whole = {entry.name for entry in self.entries}
        begun = [_Begun(name) for name in sorted(self.claimed - whole)]
        _write_log(self.output, [self.head, *self.entries, *begun])


def _words(head: _Head | None) -> str:
    return "" if head is None else msgspec.json.encode(head).decode()
