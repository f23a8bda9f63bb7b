"""Find paths that name the same file: relative and absolute, through links."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

from apnet_fast.spectra.identity import parse_file_name
from apnet_fast.spectra.mwm import is_mwm_name

# Names that differ in no more may be names of one file: links of SDSS-V leave the version of the star out.
_NOT_OF_THE_STAR = re.compile(r"(?:-\d{5})?\.fits(?:\.[gf]z)?$")
# This many files are looked at in a moment, on any file system.
_FEW = 10_000


def aliases(paths: Iterable[str], links: frozenset[str] = frozenset()) -> set[str]:
    """Return paths that may be left out, because another of the paths names the same file.

    One of several names of a file is kept: the plain one of an SDSS-V star, else one that is not a link, else the
    first. Hard links that are named as different stars are kept: a name is part of who a spectrum is. If there are
    more than 10,000 files, only those are looked at that may well have several names: known symlinks (`links`), unusual
    names, and names that are alike.
    """
    by_text: dict[str, str] = {}
    left_out: set[str] = set()
    for path in sorted(paths):
        kept = by_text.setdefault(os.path.abspath(path), path)
        if kept != path:
            left_out.add(path)
    by_file: dict[tuple[int, int], list[str]] = defaultdict(list)
    suspects = by_text.values() if len(by_text) <= _FEW else _suspects(by_text.values(), links)
    for path in suspects:
        try:
            state = os.stat(path)
        except (OSError, ValueError):  # missing; the latter for a path with a zero byte
            continue
        by_file[state.st_dev, state.st_ino].append(path)
    for names in by_file.values():
        if len(names) > 1:
            left_out.update(set(names) - _kept(names))
    return left_out


def _kept(names: list[str]) -> set[str]:
    """Return which names of one file stand: one per star that a name identifies, or one if none does."""
    by_star: dict[str, list[str]] = defaultdict(list)
    for path in names:
        own = os.path.basename(os.path.realpath(path))
        by_star[_NOT_OF_THE_STAR.sub("", own) if parse_file_name(own).standard else ""].append(path)
    if len(by_star) > 1:
        by_star.pop("", None)
    return {min(group, key=_preference) for group in by_star.values()}


def _suspects(paths: Iterable[str], links: frozenset[str]) -> list[str]:
    """Return the paths of files that may be there under another name too."""
    alike: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        name = os.path.basename(path)
        if path in links or not (parse_file_name(name).standard or is_mwm_name(name)):
            with suppress(ValueError):  # a path with a zero byte
                name = os.path.basename(os.path.realpath(path))
        alike[_NOT_OF_THE_STAR.sub("", name)].append(path)
    return [path for names in alike.values() if len(names) > 1 for path in names]


def _preference(path: str) -> tuple[bool, bool, str]:
    """Sort names of one file: the plain name of an SDSS-V star first, then what is not a link."""
    name = parse_file_name(path)
    return bool(name.standard and name.telescope and name.starver), os.path.islink(path), path
