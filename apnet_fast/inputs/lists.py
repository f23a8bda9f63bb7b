"""Lists of files (`@list.txt`): one path per line."""

from __future__ import annotations

import codecs
import os
import re
import stat

from apnet_fast.inputs.kinds import InputKind, classify
from apnet_fast.spectra.identity import FITS_SUFFIXES
from apnet_fast.spectra.pack import PACK_SUFFIX
from apnet_fast.support.errors import UsageError

_INPUTS_OF_THEIR_OWN = (InputKind.PACK, InputKind.UNFINISHED_PACK, InputKind.FOLDER, InputKind.TABLE, InputKind.NO_FILE)
_SUFFIXES = (*FITS_SUFFIXES, PACK_SUFFIX)
_EXPECTED = "a text file in UTF-8, one path per line"
# Bytes of a list: a hundred million paths.
_MOST_BYTES = 20 << 30
# Bytes of no text, UTF-16 without a mark and packed files included.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_MARK = "\ufeff"
_QUOTES = "\"'`\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"
# What stands in few names of files and in much that is no path.
_SUSPICIOUS = frozenset("$*?[]{}#,;|\r" + _QUOTES)
# A whole path and more behind it.
_FURTHER = re.compile(r"\.fits(?:\.[gf]z)?\s*[\s,;|#:\[].")
_VARIABLE = re.compile(r"\$(\w+|\{\w+\})")


def read_list(listing: str) -> list[str]:
    """Return the paths of a list, without blank lines and comments (#).

    Lines end in \\n or \\r\\n and nowhere else. `~` and `$VARIABLE` are expanded, and a comment behind a path is cut
    off, unless a file has the line for its name. Files need not be there if their names are those of FITS files. Raises
    UsageError for a list that is not text or not a regular file, and for a line that is not a path (quotes, wildcards,
    values behind it) or names a folder, a pack or a table.
    """
    paths = []
    for number, line in enumerate(_lines(listing), start=1):
        text = _without_marks(line.strip())
        if text and not text.startswith("#"):
            where = f"{listing}, line {number}"
            path = _path_of(text, where)
            _check(path, where)
            paths.append(path)
    return paths


def _lines(listing: str) -> list[str]:
    data = _contents(listing)
    if what := _no_text(data):
        raise UsageError(
            "the list is not UTF-8 text",
            got=what,
            expected=_EXPECTED,
            remedy="save it as UTF-8, if it is a list (iconv -f UTF-16 -t UTF-8); give other files without the @",
            where=listing,
        )
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape").split("\n")


def _no_text(data: bytes) -> str:
    """Return what some bytes are, if they are not text; else ""."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    if data.startswith(b"SIMPLE  ="):
        return "a FITS file"
    control = _CONTROL.search(data)
    return f"a file with the byte {control[0]!r} at {control.start()}" if control else ""


def _contents(listing: str) -> bytes:
    try:
        state = os.stat(listing)
        if not stat.S_ISREG(state.st_mode) or state.st_size > _MOST_BYTES:
            raise UsageError(
                "the list is not a regular file",
                got=f"{listing}, {_what(state.st_mode)}",
                expected=_EXPECTED,
                remedy="write the paths to a file first",
            )
        with open(listing, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot read the list: {reason}", got=listing, expected=_EXPECTED) from error


def _what(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a device or socket" if not stat.S_ISREG(mode) else "too large"


def _without_marks(text: str) -> str:
    """Return a line without byte order marks before it: lists that were joined have them in the middle."""
    return text if not text.startswith(_MARK) or os.path.lexists(text) else text.lstrip(_MARK).strip()


def _path_of(text: str, where: str) -> str:
    """Return the path that a line means. Raises UsageError for a line that looks like anything else."""
    # Only such lines are looked for, because there may be millions.
    plain = text.endswith(_SUFFIXES) and text[0] not in "~@" and _SUSPICIOUS.isdisjoint(text)
    if (plain and "://" not in text and not _FURTHER.search(text)) or os.path.lexists(text):
        return text
    path = _without_comment(text)
    expanded = os.path.expandvars(os.path.expanduser(path))
    if expanded != text and os.path.lexists(expanded):
        return expanded
    if what := _no_path(path, expanded):
        raise UsageError(
            f"a line of the list looks like {what}",
            got=path,
            expected="a path as it is, nothing around it",
            remedy="correct the line, or name the file so",
            where=where,
        )
    return expanded


def _without_comment(text: str) -> str:
    path, _, comment = text.partition(" #")
    if not comment and "\t#" in text:
        path = text.partition("\t#")[0]
    return path.rstrip() if path.rstrip().endswith(_SUFFIXES) else text


def _no_path(path: str, expanded: str) -> str:
    """Return what a line looks like, if it cannot be a path; else ""."""
    if path[0] == "@":
        return "the name of another list"
    if "://" in path:
        return "a URL; files must be fetched first"
    if "\r" in path:
        return "several lines that end in carriage returns alone"
    if path[0] in _QUOTES or path[-1] in _QUOTES:
        return "a path in quotes"
    if path[-1] in ",;":
        return "a path with a comma or semicolon behind it"
    if _VARIABLE.search(expanded):
        return "a path with an environment variable that is not set"
    if path[0] == "~" and expanded[0] == "~":
        return "a path in the home folder of an unknown user"
    if "$" in expanded or "`" in expanded:
        return "something that only a shell expands"
    if _FURTHER.search(expanded):
        return "a path with something behind it; a comment begins with a blank and #"
    if any(sign in expanded for sign in "*?[]{}"):
        return "a pattern of names (wildcards are the shell's: ls PATTERN > list.txt)"
    if not expanded.endswith(_SUFFIXES):
        return f"no path: there is no such file, and the name ends in none of {', '.join(_SUFFIXES)}"
    return ""


def _check(path: str, where: str) -> None:
    """Raise UsageError for what is an INPUT of its own; files of spectra are not looked at, for there are millions."""
    if path.endswith(_SUFFIXES):
        return
    kind = classify(path)
    if kind in _INPUTS_OF_THEIR_OWN:
        raise UsageError(
            f"a list names files of spectra, and this is {kind}",
            got=path,
            remedy=f"give {path} as an INPUT itself, and take the line out",
            where=where,
        )
