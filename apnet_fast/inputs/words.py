"""From the user's INPUT words to the list of sources of a run: files of spectra, or files of a pack."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from apnet_fast.inputs.table_rows import files_of_table, is_table
from apnet_fast.spectra.identity import parse_file_name
from apnet_fast.spectra.pack import MANIFEST, PACK_SUFFIX, is_pack, is_unfinished_pack, load_manifest
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import sha256_of

# FITS files that SDSS keeps beside apStar files and that hold no star's spectra: apVisit, apField, apStarC,
# allStar, aspcapStar and their like.
_OTHER_PRODUCT = re.compile(r"(?!(?:ap|as)Star-|mwm(?:Star|Visit)-)(?:ap|as|all|aspcap|mwm|astra)[A-Z]\w*-")


@dataclass(frozen=True)
class Inputs:
    """Files of a run, sorted by path, each path once.

    other_products: FITS files below given folders that are not apStar, or compressed, as no apStar file is.
    superseded: older versions (STARVER) of a star whose newest is in `files`. nameless_rows: rows of tables that name
    no file. packs: hash of the manifest of each pack, which has those of its files.
    """

    files: tuple[str, ...]
    other_products: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()
    nameless_rows: int = 0
    packs: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Number and hash of the sources, for telling one list from another."""
        listing = hashlib.sha256()
        for source in (*self.files, *self.packs):
            listing.update(f"{source}\n".encode("utf-8", "surrogateescape"))
        return f"{len(self.files)} files, sha256 {listing.hexdigest()}"


def resolve_inputs(words: Sequence[str], root: str | None = None) -> Inputs:
    """Files named by INPUT words: paths, folders (walked), @list.txt (one path a line, # for comments), packs, tables.

    A path that ends in .fits need not exist, nor need those of a list or a table: they get their row in the catalogue
    and a reason. Relative paths of a list start at the current folder. A folder with a manifest is a pack. A summary
    table stands for the apStar files of its rows below `root`. Order and repetition of the words do not matter. Raises
    UsageError for a list or folder that is not there, a line of a list that is a folder or a table, a table that does
    not say where spectra are, and where nothing is found.
    """
    named: list[str] = []
    walked: list[str] = []
    older: list[str] = []
    tabled: set[str] = set()
    packs: set[str] = set()
    nameless_rows = 0
    for word in words:
        if word.startswith("@"):
            named.extend(_read_list(word[1:]))
        elif os.path.isdir(word) and is_unfinished_pack(word):
            raise UsageError(
                "the pack is not finished", got=word, remedy="give the command that began it once more, to its end"
            )
        elif os.path.isdir(word) and is_pack(word):
            named.extend(os.path.join(word, name) for name in load_manifest(Path(word)).files)
            packs.add(sha256_of(Path(word) / MANIFEST))
        elif is_table(word):
            table = files_of_table(word, root)
            tabled.update(table.files)
            nameless_rows += table.nameless_rows
        elif os.path.isdir(word):
            for paths in _walk(word):
                walked.extend(paths)
                older.extend(_superseded(paths))
        elif word.endswith(".fits"):
            named.append(word)
        elif os.path.lexists(word):
            raise UsageError(
                "not a .fits file",
                got=word,
                expected="an apStar file (unpacked), a folder, a summary table, or @ and a list of paths",
                remedy=f"@{word}, if it is a list; gunzip it, if it is packed",
            )
        else:
            raise UsageError(
                "no such input",
                got=word,
                expected="an apStar file, a folder, a pack, a summary table, or @ and a list of paths",
                remedy="check the path",
            )
    other = [path for path in walked if _OTHER_PRODUCT.match(os.path.basename(path)) or not path.endswith(".fits")]
    candidates = set(walked) - set(other)
    files = {os.path.normpath(path) for path in named}
    superseded = candidates.intersection(older) - files
    files |= candidates - superseded
    files |= tabled
    if not files:
        raise UsageError(
            "no apStar files found: the folders hold none, or the lists are empty",
            got=" ".join(words),
            expected="files named apStar-*.fits, asStar-*.fits, mwmStar-*.fits or mwmVisit-*.fits",
            remedy="give the folder that holds them, or a list",
        )
    left_out = sorted(path for path in superseded if not _is_plain_name_of(path, files))
    return Inputs(tuple(sorted(files)), tuple(sorted(other)), tuple(left_out), nameless_rows, tuple(sorted(packs)))


def _read_list(listing: str) -> list[str]:
    try:
        lines = Path(listing).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise UsageError(
            f"cannot read the list: {error.strerror}", got=listing, expected="a text file, one path a line"
        ) from error
    paths = []
    for number, line in enumerate(lines, start=1):
        path = line.strip()
        if path and not path.startswith("#"):
            paths.append(path)
            _check_listed(path, f"{listing}, line {number}")
    return paths


def _check_listed(path: str, where: str) -> None:
    """Raise UsageError for what is an input of its own; nothing else is looked at, for lists have millions of lines."""
    if path.endswith((".fits", PACK_SUFFIX)):
        return
    if os.path.isdir(path):
        what = "a pack" if is_pack(path) else "a folder"
    elif os.path.isfile(path) and is_table(path):
        what = "a summary table"
    else:
        return
    raise UsageError(
        f"a list names files of spectra, and this is {what}",
        got=path,
        remedy=f"give {path} as an INPUT itself, and take the line out",
        where=where,
    )


def _walk(folder: str) -> Iterator[list[str]]:
    """FITS files, packed ones too, folder by folder."""

    def refuse(error: OSError) -> None:
        raise UsageError(
            f"cannot list a folder: {error.strerror}",
            got=error.filename,
            remedy="make it readable, or leave it out",
        ) from error

    seen: set[tuple[int, int]] = set()
    for where, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        # Links between folders may make loops: each folder is walked once, by whatever name.
        state = os.stat(where)
        if (state.st_dev, state.st_ino) in seen:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        folders.sort()
        fits = (name for name in names if name.endswith((".fits", ".fits.gz", ".fits.fz")))
        yield [os.path.normpath(os.path.join(where, name)) for name in fits]


def _superseded(paths: Iterable[str]) -> Iterable[str]:
    """Of the files of one folder, versions of a star's that are not its newest.

    The newest is the one with the plain name, a symlink to it, or else the one with the highest STARVER.
    """
    newest: dict[tuple[str, ...], tuple[str, str]] = {}
    for path in sorted(paths):
        name = parse_file_name(path)
        if not name.standard or not name.telescope:
            continue
        star = (name.prefix, name.apred, name.telescope, name.obj)
        version = name.starver or "~"  # sorts behind every number
        if star not in newest:
            newest[star] = (version, path)
            continue
        older, newer = sorted((newest[star], (version, path)))
        newest[star] = newer
        yield older[1]


def _is_plain_name_of(path: str, others: set[str]) -> bool:
    """Whether a left-out version is what the plain name, a symlink that is taken, points to."""
    name = parse_file_name(path)
    plain = path.removesuffix(f"-{name.starver}.fits") + ".fits"
    return plain in others and os.path.islink(plain) and os.readlink(plain) == os.path.basename(path)
