"""Folders of files: which of the files below them are inputs of a run."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from apnet_fast.inputs.kinds import is_table
from apnet_fast.spectra.identity import FITS_SUFFIXES, parse_file_name
from apnet_fast.spectra.mwm import is_mwm_name
from apnet_fast.support.errors import UsageError

# FITS files that SDSS keeps beside apStar files and that hold no star's spectra: apVisit, apField, allStar, aspcapStar
# and their like.
_OTHER_PRODUCT = re.compile(r"(?!(?:ap|as)StarC?-|mwm(?:Star|Visit)-)((?:ap|as|all|aspcap|mwm|astra)[A-Z]\w*)-")
_PACKED = (".gz", ".fz")
# apStar files of stars with coordinates for a name: nearly all of them. Others are looked into, for a table may be
# named apStar-list-1.fits.
_USUAL_NAME = re.compile(r"(?:ap|as)StarC?-[^-]*\d[^-]*-(?:(?:apo25m|lco25m|apo1m)-)?(?:2M|AP)\d")
# Suffixes that say how a file is packed; what is packed stands before them.
_OF_PACKING = re.compile(r"\.(?:gz|fz|bz2|xz|zst|Z)$")
# Forms of packing that are not read.
_PACKED_OTHERWISE = re.compile(r"\.fits(\.(?:bz2|xz|zst|Z|zip|7z))$")
# Kinds of files that a message names.
_MOST_KINDS = 10
# Folders whose files are made up by the system when they are read, without end for some of them.
_OF_THE_SYSTEM = ("/proc", "/sys", "/dev")


@dataclass(frozen=True)
class FolderFiles:
    """Files below a folder.

    stars: files that may hold a star's spectra. links: those of `stars` that are symlinks to elsewhere. superseded:
    those of `stars` of which a newer version is there too. other_products: FITS files that are left out. kinds: how
    many of each kind are left out, files that are no FITS included.
    """

    stars: tuple[str, ...]
    links: frozenset[str] = frozenset()
    superseded: tuple[str, ...] = ()
    other_products: tuple[str, ...] = ()
    kinds: Mapping[str, int] = field(default_factory=dict)


def files_of_folder(folder: str) -> FolderFiles:
    """Walk a folder and sort its files. Raises UsageError for a folder that cannot be listed."""
    stars: list[str] = []
    links: list[str] = []
    superseded: list[str] = []
    other: list[str] = []
    kinds: Counter[str] = Counter()
    for where, names, linked, others in _walk(folder):
        kinds.update(others)
        kept = []
        for name in names:
            path = os.path.normpath(os.path.join(where, name))
            kind = _kind_left_out(name, path, names)
            if not kind:
                kept.append(path)
                continue
            kinds[kind] += 1
            if name.endswith(FITS_SUFFIXES) or _PACKED_OTHERWISE.search(name):
                other.append(path)
        stars += kept
        older = list(_superseded(sorted(kept)))
        # Links to a version of the star beside them have been understood already.
        plain = {_plain_name(path) for path in older}
        links += [path for path in kept if os.path.basename(path) in linked and path not in plain]
        superseded += older
    return FolderFiles(tuple(stars), frozenset(links), tuple(superseded), tuple(other), kinds)


def left_out_text(kinds: Mapping[str, int]) -> str:
    """Describe files that were left out: "12 apVisit, 2 tables"; "" if there are none."""
    common = sorted(kinds, key=lambda kind: (-kinds[kind], kind))[:_MOST_KINDS]
    more = ", and others" if len(kinds) > _MOST_KINDS else ""
    return ", ".join(f"{kinds[kind]} {kind}" for kind in sorted(common)) + more


def _kind_left_out(name: str, path: str, names: frozenset[str]) -> str:
    """Return what a FITS file or table is, if it is not an input; else "". Only files of unusual names are opened."""
    if not name.endswith(FITS_SUFFIXES):
        packed = _PACKED_OTHERWISE.search(name)
        return f"files packed as {packed[1]}" if packed else "tables"
    if match := _OTHER_PRODUCT.match(name):
        return match[1]
    if name.endswith(_PACKED) and name[:-3] in names:
        return "packed copies of files that are there too"
    if _USUAL_NAME.match(name) or is_mwm_name(name):
        return ""
    return "tables" if is_table(path) else ""


def _walk(folder: str) -> Iterator[tuple[str, frozenset[str], frozenset[str], Counter[str]]]:
    """Yield each folder, the names of its FITS files and tables, which of them are symlinks, and what else is there."""

    def refuse(error: OSError) -> None:
        raise UsageError(
            f"cannot list a folder: {error.strerror}",
            got=error.filename,
            remedy="make it readable, or leave it out",
        ) from error

    made_up = {os.stat(path).st_dev for path in _OF_THE_SYSTEM if os.path.isdir(path)}
    seen: set[tuple[int, int]] = set()
    pending = [folder]
    while pending:
        where = pending.pop()
        try:
            state = os.stat(where)
            # Links between folders may make loops: each folder is walked once, by whatever name.
            if (state.st_dev, state.st_ino) in seen or state.st_dev in made_up:
                continue
            seen.add((state.st_dev, state.st_ino))
            with os.scandir(where) as entries:
                found = list(entries)
        except OSError as error:
            refuse(error)
            raise
        folders = sorted(entry.path for entry in found if _is_folder(entry))
        pending += reversed(folders)
        files = [entry for entry in found if not _is_folder(entry)]
        others = Counter(_suffix(entry.name) for entry in files if not _may_matter(entry.name))
        files = [entry for entry in files if _may_matter(entry.name)]
        names = frozenset(entry.name for entry in files)
        yield where, names, frozenset(entry.name for entry in files if entry.is_symlink()), others


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that cannot be followed
        return False


def _may_matter(name: str) -> bool:
    return name.endswith((*FITS_SUFFIXES, ".parquet")) or _PACKED_OTHERWISE.search(name) is not None


def _suffix(name: str) -> str:
    """Return the kind of a file that is not read, by its suffix: ".h5 files", ".tar.gz files"."""
    packing = _OF_PACKING.search(name)
    inner = os.path.splitext(name[: packing.start()] if packing else name)[1]
    suffix = inner + (packing[0] if packing else "")
    return f"{suffix} files" if suffix else "files without a suffix"


def _superseded(paths: Iterable[str]) -> Iterator[str]:
    """Yield those of a folder's files that are not the newest version of their star.

    The newest is the file with the plain name (which may be a symlink), or else that with the highest STARVER.
    """
    newest: dict[tuple[object, ...], tuple[str, str]] = {}
    for path in paths:
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


def is_plain_name_of(path: str, others: set[str] | Sequence[str]) -> bool:
    """Return whether a version that was left out is the target of the plain name, a symlink that is taken."""
    plain = _plain_name(path)
    return plain in others and os.path.islink(plain) and os.readlink(plain) == os.path.basename(path)


def _plain_name(path: str) -> str:
    """Return the path without the version of the star (STARVER) in its name."""
    return re.sub(r"-\d{5}(\.fits(?:\.[gf]z)?)$", r"\1", path)
