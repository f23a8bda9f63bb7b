"""Folders of files: which of the FITS files below them are inputs of a run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from apnet_fast.spectra.identity import parse_file_name
from apnet_fast.support.errors import UsageError

# FITS files that SDSS keeps beside apStar files and that hold no star's spectra: apVisit, apField, apStarC,
# allStar, aspcapStar and their like.
_OTHER_PRODUCT = re.compile(r"(?!(?:ap|as)Star-|mwm(?:Star|Visit)-)(?:ap|as|all|aspcap|mwm|astra)[A-Z]\w*-")
_PACKED = (".fits.gz", ".fits.fz")


@dataclass(frozen=True)
class FolderFiles:
    """FITS files below a folder.

    stars: files that may hold a star's spectra. superseded: those of `stars` of which a newer version is there too.
    other_products: files of other products of the survey, and packed ones.
    """

    stars: tuple[str, ...]
    superseded: tuple[str, ...]
    other_products: tuple[str, ...]


def files_of_folder(folder: str) -> FolderFiles:
    """Walk a folder and sort its FITS files. Raises UsageError for a folder that cannot be listed."""
    stars: list[str] = []
    superseded: list[str] = []
    other: list[str] = []
    for paths in _walk(folder):
        left_out = [path for path in paths if path.endswith(_PACKED) or _OTHER_PRODUCT.match(os.path.basename(path))]
        kept = sorted(set(paths).difference(left_out))
        stars += kept
        superseded += _superseded(kept)
        other += left_out
    return FolderFiles(tuple(stars), tuple(superseded), tuple(other))


def _walk(folder: str) -> Iterator[list[str]]:
    """Yield the FITS files of each folder, packed ones too."""

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
        yield [os.path.normpath(os.path.join(where, name)) for name in names if name.endswith((".fits", *_PACKED))]


def _superseded(paths: Iterable[str]) -> Iterator[str]:
    """Yield those of a folder's files that are not the newest version of their star.

    The newest is the file with the plain name (which may be a symlink), or else that with the highest STARVER.
    """
    newest: dict[tuple[str, ...], tuple[str, str]] = {}
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


def is_plain_name_of(path: str, others: set[str]) -> bool:
    """Return whether a version that was left out is the target of the plain name, a symlink that is taken."""
    name = parse_file_name(path)
    plain = path.removesuffix(f"-{name.starver}.fits") + ".fits"
    return plain in others and os.path.islink(plain) and os.readlink(plain) == os.path.basename(path)
