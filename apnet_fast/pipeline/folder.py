"""Know what in an output folder is a run's of ours, so that nothing else is ever overwritten or removed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from apnet_fast.catalog.names import PRODUCT_STEMS, QUARANTINE_FILE, RUN_FILE
from apnet_fast.pipeline.shards import (
    MARKER_FILE,
    PLAN_FILE,
    SHARDS_FOLDER,
    foreign_files,
    is_shard_file,
    remove_shard,
)
from apnet_fast.pipeline.stored import VERSION_PATTERN, StoredPlan, StoredRecord, Unsound, read_marker, read_stored
from apnet_fast.spectra.batch import Product
from apnet_fast.support.attempts import name_of_attempt, remove_stale_attempts
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import check_output_folder
from apnet_fast.support.notices import log_descriptor
from apnet_fast.support.variables import ASTRA

# Entries that every file system and program may leave; hidden files are not looked at either.
_NOBODYS = {"lost+found"}
_MOST_NAMED = 4
_RESULT_NAME = re.compile(
    rf"(?:{'|'.join(PRODUCT_STEMS.values())})-{VERSION_PATTERN}\.(?:fits|parquet)|{re.escape(QUARANTINE_FILE)}"
)

OTHER_OUTPUT = f"give another --output, or set {ASTRA} to a folder that you may write in"
"""What to do about an output folder that cannot be one."""


@dataclass
class Ours:
    """Names that plan, markers and run.json of an earlier run list: in the output folder, and in shards/.

    proven: whether there is any of them.
    """

    proven: bool = False
    results: set[str] = field(default_factory=set)
    shards: set[str] = field(default_factory=set)


def ours_in(output: Path) -> Ours:
    """Find what an earlier run left in a folder."""
    ours = Ours()
    shards = output / SHARDS_FOLDER
    names = _names(shards)
    with suppress(FileNotFoundError, NotADirectoryError, Unsound):
        plan = read_stored(shards / PLAN_FILE, StoredPlan)
        ours.proven = True
        products: tuple[Product, ...] = ("star", "visit") if plan.spectra == "both" else (plan.spectra,)
        ours.results |= {RUN_FILE, *result_names(products, plan.version)}
        ours.shards |= {
            name for name in names if is_shard_file(name_of_attempt(name) or name, plan.shards, plan.layout)
        }
    with suppress(FileNotFoundError, NotADirectoryError, Unsound):
        record = read_stored(output / RUN_FILE, StoredRecord)
        ours.proven = True
        ours.results |= {RUN_FILE, *filter(_is_result_name, record.products)}
    if PLAN_FILE not in ours.shards:
        ours.shards |= set(_of_markers(shards, names))
        ours.proven |= bool(ours.shards)
    return ours


def result_names(products: Iterable[Product], version: str) -> list[str]:
    """Return the names of the files that a run of some version leaves in its output folder, but for run.json."""
    stems = [f"{PRODUCT_STEMS[product]}-{version}" for product in products]
    return [f"{stem}{suffix}" for stem in stems for suffix in (".fits", ".parquet")] + [QUARANTINE_FILE]


def check_folder(output: Path) -> None:
    """Raise UsageError for an output that cannot be a folder to write in, or that holds what no run of ours wrote."""
    check_output_folder(output, OTHER_OUTPUT)
    if not output.is_dir() or ours_in(output).proven:
        return
    own_streams = _own_streams()
    foreign = []
    for name in sorted(_names(output)):
        path = output / name
        if name == SHARDS_FOLDER and path.is_symlink() and not path.exists():
            continue  # to a scratch disk that was emptied
        if name == SHARDS_FOLDER and path.is_dir():
            foreign += [f"{name}/{inner}" for inner in sorted(_names(path)) if not _is_attempt_at_plan(inner)]
        elif name not in _NOBODYS and _identity(path) not in own_streams:
            foreign.append(name + ("/" if path.is_dir() else ""))
    if foreign:
        raise UsageError(
            "the output folder holds files that no run of apnet_fast wrote there",
            got=_some(foreign),
            expected="a new or empty folder, or the output of an earlier run",
            remedy="give another --output; nothing here was changed",
            where=str(output),
        )


def discard(output: Path, wanted_results: Iterable[str], wanted_shards: int) -> None:
    """Remove what an earlier run left, and nothing else, so that a run may write its own files.

    wanted_results, wanted_shards: names and number of shards of the run to come. Raises UsageError, before anything is
    removed, if it would overwrite a file that is not an earlier run's. A kill at any moment mixes nothing: the plan
    goes last, and until then the folder belongs to the earlier run.
    """
    ours, shards = ours_in(output), output / SHARDS_FOLDER
    wanted = {RUN_FILE, *wanted_results}
    foreign = [name for name in sorted(_names(output)) if name in wanted - ours.results]
    # No run makes a folder of such a name.
    foreign += [f"{name}/" for name in sorted(ours.results) if _is_folder(output / name)]
    inner = [name for name in sorted(_names(shards)) if is_shard_file(name, wanted_shards) and name not in ours.shards]
    if ours.proven and PLAN_FILE in inner:  # damaged; the markers prove whose folder it is
        inner.remove(PLAN_FILE)
        ours.shards.add(PLAN_FILE)
    for name in sorted(ours.shards):
        inner += [f"{name}/{file}" for file in foreign_files(shards / name)]
    foreign += [f"{SHARDS_FOLDER}/{name}" for name in inner]
    if foreign:
        raise UsageError(
            "the run would overwrite files that no run of apnet_fast wrote",
            got=_some(foreign),
            remedy="give another --output, or move them away; nothing here was changed",
            where=str(output),
        )
    for name in ours.results:
        (output / name).unlink(missing_ok=True)
    for name in sorted(ours.shards, key=lambda name: name == PLAN_FILE):
        remove_shard(shards / name)


def clean(output: Path, results: Iterable[str]) -> None:
    """Remove attempts at result files whose writers have died."""
    wanted = {RUN_FILE, *results}
    remove_stale_attempts(output, lambda name: name in wanted)


def _of_markers(shards: Path, names: Iterable[str]) -> Iterable[str]:
    """Yield the names of folders of shards whose marker is sound."""
    for name in names:
        if name.isdigit():
            with suppress(FileNotFoundError, NotADirectoryError, Unsound, OSError):
                read_marker(shards / name / MARKER_FILE)
                yield name


def _is_result_name(name: str) -> bool:
    return _RESULT_NAME.fullmatch(name) is not None


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_attempt_at_plan(name: str) -> bool:
    return name_of_attempt(name) == PLAN_FILE


def _names(folder: Path) -> list[str]:
    """Return the names of the entries of a folder that are not hidden; none if there is no such folder."""
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _own_streams() -> set[tuple[int, int]]:
    """Return the files that this command writes its messages to: a log may lie in the output folder."""
    streams = set()
    for descriptor in (1, 2, log_descriptor()):
        if descriptor is None:
            continue
        with suppress(OSError):
            state = os.fstat(descriptor)
            streams.add((state.st_dev, state.st_ino))
    return streams


def _identity(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError:
        return -1, -1
    return state.st_dev, state.st_ino


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
