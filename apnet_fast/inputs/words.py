"""Resolve the user's INPUT words to the sources of a run: files of spectra, or files of a pack."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from apnet_fast.inputs.folders import files_of_folder, is_plain_name_of
from apnet_fast.inputs.kinds import InputKind, classify
from apnet_fast.inputs.lists import read_list
from apnet_fast.inputs.table_rows import files_of_table
from apnet_fast.spectra.pack import MANIFEST, load_manifest
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import sha256_of


@dataclass(frozen=True)
class Inputs:
    """Files of a run, sorted by path, each path once.

    other_products: FITS files below given folders that are not apStar, or packed, as no apStar file is. superseded:
    older versions (STARVER) of a star whose newest is in `files`. nameless_rows: number of table rows that name no
    file. packs: hash of each pack's manifest, which has the hashes of its files.
    """

    files: tuple[str, ...]
    other_products: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()
    nameless_rows: int = 0
    packs: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Number and hash of the sources, to tell one list from another."""
        listing = hashlib.sha256()
        for source in (*self.files, *self.packs):
            listing.update(f"{source}\n".encode("utf-8", "surrogateescape"))
        return f"{len(self.files)} files, sha256 {listing.hexdigest()}"


def resolve_inputs(words: Sequence[str], root: str | None = None) -> Inputs:
    """Return the files named by INPUT words: paths, folders (walked), @list.txt, packs and summary tables.

    A path that ends in .fits need not exist, nor need those of a list or a table: they get their row in the catalogue
    and a reason. Relative paths of a list start at the current folder. A folder with a manifest is a pack. A summary
    table stands for the apStar files of its rows below `root`. Order and repetition of the words do not matter. Raises
    UsageError for a list or folder that is not there, a line of a list that is a folder or a table, a table whose rows
    do not tell where spectra are, and if nothing is found.
    """
    gathered = _Gathered()
    for word in words:
        gathered.add(word, root)
    inputs = gathered.inputs()
    if not inputs.files:
        raise UsageError(
            "no apStar files found: the folders hold none, or the lists are empty",
            got=" ".join(words),
            expected="files named apStar-*.fits, asStar-*.fits, mwmStar-*.fits or mwmVisit-*.fits",
            remedy="give the folder that holds them, or a list",
        )
    return inputs


class _Gathered:
    """What the words looked at so far name."""

    def __init__(self) -> None:
        self._named: set[str] = set()
        self._walked: set[str] = set()
        self._older: set[str] = set()
        self._other: set[str] = set()
        self._tabled: set[str] = set()
        self._packs: set[str] = set()
        self._nameless_rows = 0

    def add(self, word: str, root: str | None) -> None:
        """Add what a word names. Raises UsageError if that cannot be an input."""
        kind = classify(word)
        if kind is InputKind.LIST:
            self._named.update(map(os.path.normpath, read_list(word[1:])))
        elif kind is InputKind.PACK:
            self._named.update(os.path.normpath(os.path.join(word, name)) for name in load_manifest(Path(word)).files)
            self._packs.add(sha256_of(Path(word) / MANIFEST))
        elif kind is InputKind.TABLE:
            table = files_of_table(word, root)
            self._tabled.update(table.files)
            self._nameless_rows += table.nameless_rows
        elif kind is InputKind.FOLDER:
            folder = files_of_folder(word)
            self._walked.update(folder.stars)
            self._older.update(folder.superseded)
            self._other.update(folder.other_products)
        elif kind is InputKind.SPECTRA:
            self._named.add(os.path.normpath(word))
        else:
            raise _no_input(word, kind)

    def inputs(self) -> Inputs:
        """Return all files, without those that a newer version of their star supersedes."""
        superseded = self._walked & self._older - self._named
        files = self._named | (self._walked - superseded) | self._tabled
        left_out = sorted(path for path in superseded if not is_plain_name_of(path, files))
        return Inputs(
            tuple(sorted(files)),
            tuple(sorted(self._other)),
            tuple(left_out),
            self._nameless_rows,
            tuple(sorted(self._packs)),
        )


def _no_input(word: str, kind: InputKind) -> UsageError:
    if kind is InputKind.UNFINISHED_PACK:
        return UsageError(
            "the pack is not finished", got=word, remedy="give the command that began it once more, to its end"
        )
    if kind is InputKind.OTHER:
        return UsageError(
            "not a .fits file",
            got=word,
            expected="an apStar file (unpacked), a folder, a summary table, or @ and a list of paths",
            remedy=f"@{word}, if it is a list; gunzip it, if it is packed",
        )
    return UsageError(
        "no such input",
        got=word,
        expected="an apStar file, a folder, a pack, a summary table, or @ and a list of paths",
        remedy="check the path",
    )
