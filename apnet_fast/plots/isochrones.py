"""Read isochrones from a table of the PARSEC web interface (CMD), whose comment lines name the columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apnet_fast.support.errors import UsageError
from apnet_fast.support.regular_files import MEBIBYTE, regular_text

# Far more than the web interface gives at once.
_MOST_BYTES = 2048 * MEBIBYTE
_NEEDED = ("logTe", "logg")
# PARSEC's stage 9 is the jump from the AGB to the white-dwarf cooling track, which is not part of the line.
_LAST_STAGE = 8


@dataclass(frozen=True)
class Isochrone:
    """One isochrone: log10 age [yr] and [M/H] (NaN if the table has none), teff [K] and logg float64 (n,)."""

    log_age: float
    m_h: float
    teff: NDArray[np.float64]
    logg: NDArray[np.float64]


def read_isochrones(path: Path) -> list[Isochrone]:
    """Read the isochrones of a table, one for each logAge and MH, in the order of the file.

    Raises UsageError if no comment line names logTe and logg, or if a row does not fit it.
    """
    names: list[str] = []
    lines: dict[tuple[float, float], list[tuple[float, float]]] = {}
    try:
        text = regular_text(path, _MOST_BYTES, errors="replace")
    except OSError as error:
        raise UsageError(f"cannot read the isochrones: {error.strerror}", got=str(path)) from error
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.lstrip("# ").split()
        if line.lstrip().startswith("#"):
            if all(name in words for name in _NEEDED):
                names = words
            continue
        if words and names:
            row = _row(words, names, f"{path}, line {number}")
            if row.get("label", 0) <= _LAST_STAGE:
                key = (row.get("logAge", np.nan), row.get("MH", np.nan))
                lines.setdefault(key, []).append((row["logTe"], row["logg"]))
    if not lines:
        raise UsageError(
            "no isochrones in this file",
            got=str(path),
            expected="a comment line with the columns (logTe, logg; logAge, MH), and rows of numbers below it",
            remedy="save the table of the PARSEC web interface (CMD) unchanged",
        )
    out = []
    for (log_age, m_h), points in lines.items():
        log_teff, logg = np.array(points).T
        out.append(Isochrone(log_age, m_h, 10.0**log_teff, logg))
    return out


def _row(words: list[str], names: list[str], where: str) -> dict[str, float]:
    try:
        return {name: float(word) for name, word in zip(names, words, strict=True) if name in _USED}
    except ValueError as error:
        raise UsageError(
            "a row of the isochrones does not fit its columns",
            got=" ".join(words)[:80],
            expected=f"{len(names)} numbers",
            where=where,
        ) from error


_USED = frozenset({*_NEEDED, "logAge", "MH", "label"})
