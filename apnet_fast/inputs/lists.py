"""Lists of files (`@list.txt`): one path per line."""

from __future__ import annotations

from pathlib import Path

from apnet_fast.inputs.kinds import InputKind, classify
from apnet_fast.spectra.pack import PACK_SUFFIX
from apnet_fast.support.errors import UsageError

_INPUTS_OF_THEIR_OWN = (InputKind.PACK, InputKind.UNFINISHED_PACK, InputKind.FOLDER, InputKind.TABLE)


def read_list(listing: str) -> list[str]:
    """Return the paths of a list, without blank lines and comments (#).

    Raises UsageError for a list that cannot be read, and for a line that names a folder, a pack or a table.
    """
    try:
        lines = Path(listing).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise UsageError(
            f"cannot read the list: {error.strerror}", got=listing, expected="a text file, one path per line"
        ) from error
    paths = []
    for number, line in enumerate(lines, start=1):
        path = line.strip()
        if path and not path.startswith("#"):
            paths.append(path)
            _check(path, f"{listing}, line {number}")
    return paths


def _check(path: str, where: str) -> None:
    """Raise UsageError for what is an INPUT of its own; files of spectra are not looked at, for there are millions."""
    if path.endswith((".fits", PACK_SUFFIX)):
        return
    kind = classify(path)
    if kind in _INPUTS_OF_THEIR_OWN:
        raise UsageError(
            f"a list names files of spectra, and this is {kind}",
            got=path,
            remedy=f"give {path} as an INPUT itself, and take the line out",
            where=where,
        )
