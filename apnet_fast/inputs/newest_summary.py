"""Find the newest summary table of the survey below SAS_BASE_DIR: the input of a run without INPUT.

Astra's mwmAllStar comes first, because it lists the stars of all telescopes and both surveys; then the allStar tables
of an SDSS-V reduction, one per telescope; then DR17's. In each place the highest version counts, not the age of the
file, which a copy changes. Only the places of the SDSS tree are looked at: walking a survey would take days.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from apnet_fast.inputs.summary_tables import open_table
from apnet_fast.inputs.survey_paths import SDSS5_HOMES
from apnet_fast.support.errors import UsageError
from apnet_fast.support.notices import detail, say
from apnet_fast.support.variables import ASTRA, SAS, folder_of, state_of, value_of

ASTRA_HOMES = (
    "sdsswork/mwm/spectro/astra",
    "dr20/spectro/astra",
    "dr19/spectro/astra",
    "ipl-4/spectro/astra",
    "ipl-3/spectro/astra",
)
DR17_TABLE = "dr17/apogee/spectro/aspcap/dr17/synspec_rev1/allStar-dr17-synspec_rev1.fits"
TELESCOPES = ("apo25m", "lco25m", "apo1m")
# Folders of versions in the making ("daily", "master") are not releases to choose unasked.
_VERSION = re.compile(r"\d+(?:\.\d+)*")

_LOOKED_FOR = "mwmAllStar-VERSION.fits[.gz] of Astra, allStar-REDUCTION-TELESCOPE.fits of SDSS-V, or DR17's allStar"
REMEDY = (
    f"give INPUT words (files, folders, tables, @list.txt), or set {SAS} to the folder that holds dr17/, dr19/, ..."
)
"""How a command gets its input."""


@dataclass(frozen=True)
class NewestSummary:
    """The tables that are the newest summary: one, or one per telescope.

    home: the folder below which they were found, in words. empty: newer ones that have no rows.
    """

    tables: tuple[str, ...]
    home: str
    empty: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return in words what was found."""
        left_out = [f"left out: {table} has no rows" for table in self.empty]
        return [*left_out, f"input: {', '.join(self.tables)} (the newest below {self.home})"]


class UnreadableSummary(UsageError):
    """The newest summary table cannot be read. what: which that is, and who chose it. why: what is wrong with it."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what, got=why, remedy=REMEDY)
        self.what, self.why = what, why

    def __reduce__(self) -> tuple[type[UnreadableSummary], tuple[str, str]]:
        return UnreadableSummary, (self.what, self.why)


def default_root(root: Path | None) -> Path | None:
    """Return the root of tables: the one given, else SAS_BASE_DIR; None if that is not set."""
    if root is not None:
        return root
    named = value_of(SAS)
    if named is not None:
        detail(f"root: {named} ({SAS})")
    return None if named is None else Path(named)


def default_summary(root: Path | None) -> NewestSummary | None:
    """Return the tables of `newest_summary` below the root and in MWM_ASTRA; None if there are none."""
    return newest_summary(root, folder_of(ASTRA)) if root is not None and root.is_dir() else None


def default_inputs(root: Path | None) -> tuple[str, ...]:
    """Return the INPUT words of a command that was given none. Raises UsageError if there is no summary table."""
    found = default_summary(root)
    if found is None:
        raise UsageError(f"no input: {what_is_there(root)}", expected=_LOOKED_FOR, remedy=REMEDY)
    for line in found.lines():
        say(line)
    return found.tables


def what_is_there(root: Path | None) -> str:
    """Return in words what there is instead of a summary table."""
    if root is None or not root.is_dir():
        return state_of(SAS) if root is None or str(root) == value_of(SAS) else f"{root}, which is not a folder"
    return f"no table with rows below {root}, where {_LOOKED_FOR} were looked for"


def newest_summary(root: Path, astra: Path | None = None) -> NewestSummary | None:
    """Return the newest summary tables below `root` (SAS_BASE_DIR) or in `astra` (MWM_ASTRA); None if there is none.

    Tables without rows are left out: DR20 has an mwmAllStar without infrared spectra. Raises UnreadableSummary for a
    table that cannot be read, rather than fall back on an older one.
    """
    empty: list[str] = []
    for tables in _candidates(root, astra):
        home = _home_of(tables[0], root, astra)
        try:
            with_rows = tuple(table for table in tables if _rows(table))
        except UsageError as error:
            what = f"the newest summary table below {home} was chosen as the input, and cannot be read"
            raise UnreadableSummary(what, error.problem) from error
        if with_rows:
            return NewestSummary(with_rows, home, tuple(empty))
        empty += tables
    return None


def _home_of(table: str, root: Path, astra: Path | None) -> str:
    """Return the folder below which a table was found, and the variable that names this folder, if one does."""
    home, variable = (root, SAS) if root in Path(table).parents or astra is None else (astra, ASTRA)
    return f"{home} ({variable})" if str(home) == value_of(variable) else str(home)


def _candidates(root: Path, astra: Path | None) -> Iterator[tuple[str, ...]]:
    """Yield the tables of every version there is, newest first."""
    of_astra = [*([astra] if astra else []), *(root / home for home in ASTRA_HOMES)]
    for version, home in _versions(of_astra):
        name = f"mwmAllStar-{version}.fits"
        yield from ((str(table),) for table in _first_file(home / version / "summary", (name, f"{name}.gz")))
    for version, home in _versions(root / home for home in SDSS5_HOMES if home):
        folder = home / version / "summary"
        tables = [folder / f"allStar-{version}-{telescope}.fits" for telescope in TELESCOPES]
        if found := tuple(str(table) for table in tables if table.is_file()):
            yield found
    if (root / DR17_TABLE).is_file():
        yield (str(root / DR17_TABLE),)


def _versions(homes: Iterable[Path]) -> list[tuple[str, Path]]:
    """Return the versions in some folders, the highest first; of one that several have, the first folder's first."""
    found = [(name, home) for home in homes for name in _names(home) if _VERSION.fullmatch(name)]
    return sorted(found, key=lambda each: tuple(map(int, each[0].split("."))), reverse=True)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _first_file(folder: Path, names: Iterable[str]) -> list[Path]:
    return [folder / name for name in names if (folder / name).is_file()][:1]


def _rows(table: str) -> int:
    with open_table(table) as opened:
        return opened.rows
