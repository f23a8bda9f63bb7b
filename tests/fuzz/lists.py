"""Mutated lists of files (@list.txt), and other objects in their place."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

from apnet_fast.inputs.words import resolve_inputs
from tests.fuzz.case import Case, Kind, WrongAnswer
from tests.fuzz.mutations import mutate_bytes

LINES = (
    b"", b"#", b"# comment", b"  # comment", b"a.fits # comment", b"~/a.fits", b"~nobody/a.fits", b"$HOME/a.fits",
    b"${NOT_SET}/a.fits", b"*.fits", b"'quoted.fits'", b'"quoted.fits"', b"a.fits,", b"a.fits;b.fits",
    b"a.fits b.fits",
    b"../a.fits", b"/etc/passwd", b"/dev/zero", b"/dev/null", b"/proc/self/environ", b"\0", b"a\0b.fits",
    b"\xff\xfe.fits",
    b"@other.txt", b"x" * 5000 + b".fits", b".", b"..", b"/", b"a.fits\r", b"a\x0bb.fits", b"a\x0cb.fits",
    b"a\x1cb.fits",
    "caf\u00e9.fits".encode(), "a\u2028b.fits".encode(), "a\u0085b.fits".encode(), "\u00a0a.fits".encode(),
    b"s3://bucket/a.fits", b"https://x.org/a.fits", b"C:\\a\\b.fits", b"a.fits.gz", b"a.tar", b"pack/000000.arrow",
)  # fmt: skip
ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1")
OBJECTS = ("folder", "link to itself", "nothing", "pipe", "device", "no permission", "socket")


def _prepare(folder: Path) -> list[bytes]:
    return [f"tree/apStar-dr17-2M0000000{n}+0000000.fits".encode() for n in range(8)]


def _make(rng: random.Random, base: Any, folder: Path) -> Case:
    path = folder / "list.txt"
    lines = list(base)
    how = rng.randrange(5)
    if how == 0:
        path.write_bytes(mutate_bytes(b"\n".join(lines), rng)[0])
        return Case("bytes", (path, False))
    if how == 1:
        encoding = rng.choice(ENCODINGS)
        path.write_bytes("\n".join(line.decode() for line in lines).encode(encoding))
        return Case(encoding, (path, True))
    if how == 2:
        what = rng.choice(OBJECTS)
        _put(path, what)
        return Case(what, (path, False))
    chosen = rng.choices(LINES, k=rng.randint(1, 3))
    for line in chosen:
        lines.insert(rng.randrange(len(lines) + 1), line)
    ending = rng.choice([b"\n", b"\r\n", b"\n\n"])
    path.write_bytes(ending.join(lines) + rng.choice([b"", ending]))
    return Case(f"lines {chosen!r:.60}", (path, False))


def _put(path: Path, what: str) -> None:
    """Put something that is not a file in the place of a list."""
    if what == "folder":
        path.mkdir()
    elif what == "link to itself":
        path.symlink_to(path.name)
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        path.symlink_to("/dev/zero")
    elif what == "socket":
        path.symlink_to("/dev/log")
    elif what == "no permission":
        path.write_bytes(b"a.fits\n")
        path.chmod(0)


def _judge(base: Any, case: Case) -> str:
    path, same = case.data
    files = resolve_inputs([f"@{path}"]).files
    for file in files:
        # A zero byte is in no path; other control characters are, but not in a list that anybody meant.
        if "\0" in file:
            raise WrongAnswer(f"a row for {file!r}")
    if same and {os.path.basename(file) for file in files} != {os.path.basename(line.decode()) for line in base}:
        raise WrongAnswer(f"other files than the list names, such as {files[0]!r}")
    return "read"


KIND = Kind("lists", _prepare, _make, _judge)
