"""What a run was asked to do, validated."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from apnet_fast.spectra.batch import Product
from apnet_fast.spectra.pack import is_pack
from apnet_fast.support.errors import UsageError

Spectra = Literal["star", "visit", "both"]

# Files of one shard, by engine: a shard is what a killed run may lose, and minutes of a slow engine are enough.
_DEFAULT_SHARD_SIZE = {"reference": 16, "cpu": 32}
_FALLBACK_SHARD_SIZE = 1000
_STARS_OF_A_PACK_FILE = 50

_CORES_FOR_READERS, _MOST_READERS = 4, 4


@dataclass(frozen=True)
class RunArguments:
    """Arguments of `reprocess`, as given; see its --help. Raises UsageError where a value makes no sense.

    engine: a name of `engines.ENGINES`, never "auto". shard_size counts files. catalog: a summary table, which stands
    for its files where there are no inputs. root: the folder below which the files of tables lie.
    """

    inputs: tuple[str, ...]
    weights: Path
    output: Path
    engine: str
    device: str
    recipe: str
    draws: int
    seed: int
    precision: str
    spectra: Spectra
    readers: int
    batch_size: int
    shard_size: int
    max_failures: int | None
    restart: bool
    catalog: Path | None = None
    root: Path | None = None

    def __post_init__(self) -> None:
        if not self.words:
            raise UsageError(
                "no input",
                expected="apStar files, folders, packs, summary tables or @list.txt",
                remedy="name at least one, or give --catalog",
            )
        for name, value, least in (
            ("--readers", self.readers, 0),
            ("--batch-size", self.batch_size, 1),
            ("--shard-size", self.shard_size, 1),
            ("--max-failures", self.max_failures or 0, 0),
        ):
            if value < least:
                raise UsageError(f"{name} is too small", got=value, expected=f"at least {least}")
        if self.catalog is not None and not self.catalog.is_file():
            raise UsageError("--catalog is no file", got=str(self.catalog), expected="a table, FITS or Parquet")
        if self.spectra not in ("star", "visit", "both"):
            raise UsageError("unknown --spectra", got=repr(self.spectra), expected="star | visit | both")

    @property
    def words(self) -> tuple[str, ...]:
        """The INPUT words: those given, else the catalog."""
        return self.inputs or ((str(self.catalog),) if self.catalog else ())

    @property
    def products(self) -> tuple[Product, ...]:
        """The products this run writes."""
        return ("star", "visit") if self.spectra == "both" else (self.spectra,)


def default_shard_size(engine: str, inputs: Sequence[str] = ()) -> int:
    """Files a shard, so that a shard of any engine takes minutes at the most.

    Where all inputs are packs, whose files are of many stars, fewer. Beside other files those of packs make shards that
    take longer: for a tree of small ones, four fsyncs a shard would be worse.
    """
    size = _DEFAULT_SHARD_SIZE.get(engine, _FALLBACK_SHARD_SIZE)
    return max(size // _STARS_OF_A_PACK_FILE, 1) if inputs and all(map(is_pack, inputs)) else size


def default_readers(devices: str) -> int:
    """Reader processes of each device: none beside the CPU's engines, which need the cores more, nor on few cores.

    devices: with commas between them. On 2 cores a run reads 1.4 times as fast in its own process as through another.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores_each = cores // len(devices.split(","))
    return 0 if devices.startswith("cpu") or cores_each < _CORES_FOR_READERS else min(cores_each // 2, _MOST_READERS)
