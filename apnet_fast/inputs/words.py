"""Resolve the user's INPUT words to the sources of a run: files of spectra, or files of a pack."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from apnet_fast.inputs.aliases import aliases
from apnet_fast.inputs.folders import files_of_folder, is_plain_name_of, left_out_text
from apnet_fast.inputs.kinds import InputKind, classify
from apnet_fast.inputs.known_files import KnownFiles
from apnet_fast.inputs.lists import read_list
from apnet_fast.inputs.table_rows import TableFiles, files_of_table
from apnet_fast.spectra.pack import MANIFEST, load_manifest
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import sha256_of

_EXPECTED = "an apStar file (.fits, .fits.gz, .fits.fz), a folder, a pack, a summary table, or @ and a list of paths"


@dataclass(frozen=True)
class Inputs:
    """Files of a run, sorted by path, each once.

    other_products: FITS files below given folders that are not spectra of a star. superseded: older versions (STARVER)
    of a star whose newest is in `files`. aliases: further names of files. nameless_rows: number of table rows that name
    no file. packs: hash of each pack's manifest, which has the hashes of its files. known: what tables know of files.
    notes: lines for the user.
    """

    files: tuple[str, ...]
    other_products: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    nameless_rows: int = 0
    packs: tuple[str, ...] = ()
    known: KnownFiles = field(default_factory=KnownFiles, compare=False, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Number and hash of the sources, to tell one list from another."""
        listing = hashlib.sha256()
        for source in (*self.files, *self.packs):
            listing.update(f"{source}\n".encode("utf-8", "surrogateescape"))
        return f"{len(self.files)} files, sha256 {listing.hexdigest()}"


def resolve_inputs(words: Sequence[str], root: str | None = None) -> Inputs:
    """Return the files named by INPUT words: paths, folders (walked), @list.txt, packs and summary tables.

    A path that ends in .fits, .fits.gz or .fits.fz need not exist, nor need those of a list or a table: they get their
    row in the catalogue and a reason. Relative paths of a list start at the current folder. A folder with a manifest is
    a pack. A summary table stands for the apStar files of its rows below `root`. Order and repetition of the words do
    not matter, and a file with several names is one file. Raises UsageError for a list or folder that is not there, a
    line of a list that is a folder or a table, a table whose rows do not say where spectra are, objects that are not
    regular files, and if nothing is found.
    """
    gathered = _Gathered()
    for word in words:
        gathered.add(word, root)
    inputs = gathered.inputs()
    if not inputs.files:
        instead = left_out_text(gathered.kinds)
        raise UsageError(
            "no apStar files found: the folders hold none, or the lists are empty",
            got=" ".join(words) + (f", with {instead}" if instead else ""),
            expected="files named apStar-*, asStar-*, mwmStar-* or mwmVisit-*, with .fits, .fits.gz or .fits.fz",
            remedy="give the folder that holds them, or a list; summary tables as INPUTs of their own, with --root;"
            " unpack archives, and let names end in .fits",
        )
    return inputs


class _Gathered:
    """What the words looked at so far name. kinds: files of folders that were left out, by kind."""

    def __init__(self) -> None:
        self._named: set[str] = set()
        self._walked: set[str] = set()
        self._older: set[str] = set()
        self._other: set[str] = set()
        self._links: set[str] = set()
        self._tables: list[TableFiles] = []
        self._packs: set[str] = set()
        self._sources = 0
        self.kinds: Counter[str] = Counter()

    def add(self, word: str, root: str | None) -> None:
        """Add what a word names. Raises UsageError if that cannot be an input."""
        kind = classify(word)
        self._sources += 2 if kind is InputKind.LIST else 1
        if kind is InputKind.LIST:
            self._named.update(map(os.path.normpath, read_list(word[1:])))
        elif kind is InputKind.PACK:
            self._named.update(os.path.normpath(os.path.join(word, name)) for name in load_manifest(Path(word)).files)
            self._packs.add(sha256_of(Path(word) / MANIFEST))
        elif kind is InputKind.TABLE:
            self._tables.append(files_of_table(word, root))
        elif kind is InputKind.FOLDER:
            self._add_folder(word)
        elif kind is InputKind.SPECTRA:
            self._named.add(os.path.normpath(word))
        else:
            raise _no_input(word, kind)

    def _add_folder(self, word: str) -> None:
        folder = files_of_folder(word)
        self._walked.update(folder.stars)
        self._older.update(folder.superseded)
        self._other.update(folder.other_products)
        self._links.update(folder.links)
        self.kinds.update(folder.kinds)

    def inputs(self) -> Inputs:
        """Return all files, without other names of them and those that a newer version of their star supersedes."""
        superseded = self._walked & self._older - self._named
        files = self._named | (self._walked - superseded)
        files.update(*(table.files for table in self._tables))
        left_out = sorted(path for path in superseded if not is_plain_name_of(path, files))
        # One folder or table alone names each file once, unless there are links.
        others = aliases(files, frozenset(self._links)) if self._sources > 1 or self._links else set()
        notes = [note for table in self._tables for note in table.notes]
        if others:
            notes.append(f"{len(others)} names left out: further names of files that are taken, such as {min(others)}")
        return Inputs(
            tuple(sorted(files - others)),
            tuple(sorted(self._other)),
            tuple(left_out),
            tuple(sorted(others)),
            sum(table.nameless_rows for table in self._tables),
            tuple(sorted(self._packs)),
            KnownFiles.joined([table.known for table in self._tables]),
            tuple(notes),
        )


def _no_input(word: str, kind: InputKind) -> UsageError:
    if kind is InputKind.UNFINISHED_PACK:
        return UsageError(
            "the pack is not finished", got=word, remedy="give the command that began it once more, to its end"
        )
    if kind is InputKind.NO_FILE:
        return UsageError(
            "this is not a regular file but a pipe, a device or the like",
            got=word,
            expected=_EXPECTED,
            remedy="write what it gives to a file first",
        )
    if kind is InputKind.OTHER:
        return UsageError(
            "not a FITS file",
            got=word,
            expected=_EXPECTED,
            remedy=f"@{word}, if it is a list",
        )
    return UsageError("no such input", got=word, expected=_EXPECTED, remedy="check the path")
