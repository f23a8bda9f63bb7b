"""What a run is asked for: three things it needs, and a default for everything else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from apnet_fast.support.errors import UsageError

Spectra = Literal["star", "visit", "both"]


@dataclass(frozen=True)
class RunArguments:
    """What a run is asked for; None leaves a choice to the run (`pipeline.settings`).

    Raises UsageError for a value that makes no sense.
    """

    inputs: tuple[str, ...]
    """apStar, asStar, mwmStar and mwmVisit files, folders (walked), packs, "@list.txt" (one file per line), summary
    tables. If empty, the files of the rows of `catalog`."""

    weights: Path
    """Weights file (.safetensors), or "demo" for the shipped one."""

    output: Path
    """Folder of the catalogues and shards. It is made if needed, or holds this very run, to go on with."""

    catalog: Path | None = None
    """Summary table (FITS or Parquet) that fills the columns of sources."""

    root: Path | None = None
    """Folder below which the files of tables lie: it holds dr17/, sdsswork/, ..."""

    gpus: str | None = None
    """Numbers of GPUs, such as "0,1". Default: all visible ones, else the CPU."""

    device: str | None = None
    """Devices by name instead of `gpus`: "cpu"; "cpu,cpu" for two workers; "cuda:0"."""

    engine: str = "auto"
    """Name of an engine; "auto" is the fastest one for the network and the device."""

    recipe: str | None = None
    """Name of a recipe. Default: the network's first."""

    draws: int | None = None
    """Noise realisations per spectrum. Default: the network's, 20 for v3 and 100 for v2 and v1."""

    seed: int = 0
    """Seed of the noise."""

    precision: str | None = None
    """"fp16", "fp32" or "fp64" (reference engine only). Default: fp16 for the Triton engine, else fp32."""

    spectra: Spectra = "both"
    """Products to write: coadds, visits or both."""

    readers: int | None = None
    """Processes per device that read ahead; 0 for none. Default: by device and cores."""

    threads: int | None = None
    """Threads of the CPU engine, all workers together. Default: OMP_NUM_THREADS, or every core."""

    batch_size: int = 64
    """Spectra given to the engine at once."""

    shard_size: int | None = None
    """Files per shard, the piece that a killed run may lose. Default: by engine, minutes of work. A run has at most
    5,000 shards; they are larger if there would be more."""

    mix_instructions: bool = False
    """Let processors of different instruction sets compute shards of one run. On the CPU their labels differ in the
    last digits; run.json says which shards came from which."""

    max_failures: int | None = None
    """Stop if more spectra than this have no result. Default: never."""

    restart: bool = False
    """Discard what an earlier run left in `output`."""

    def __post_init__(self) -> None:
        if not self.words:
            raise UsageError(
                "no input",
                expected="apStar files, folders, packs, summary tables or @list.txt",
                remedy="name at least one, or give --catalog",
            )
        for name, value, least in (
            ("--readers", self.readers, 0),
            ("--threads", self.threads, 1),
            ("--batch-size", self.batch_size, 1),
            ("--shard-size", self.shard_size, 1),
            ("--max-failures", self.max_failures, 0),
        ):
            if value is not None and value < least:
                raise UsageError(f"{name} is too small", got=value, expected=f"at least {least}")
        if self.catalog is not None and not self.catalog.is_file():
            raise UsageError("--catalog is not a file", got=str(self.catalog), expected="a table, FITS or Parquet")
        if self.spectra not in ("star", "visit", "both"):
            raise UsageError("unknown --spectra", got=repr(self.spectra), expected="star | visit | both")

    @property
    def words(self) -> tuple[str, ...]:
        """The INPUT words: those given, else the catalog."""
        return self.inputs or ((str(self.catalog),) if self.catalog else ())


class RunOptions(TypedDict, total=False):
    """The fields of `RunArguments` that are not paths, with the same types and meanings: options of `run_survey`."""

    gpus: str | None
    device: str | None
    engine: str
    recipe: str | None
    draws: int | None
    seed: int
    precision: str | None
    spectra: Spectra
    readers: int | None
    threads: int | None
    batch_size: int
    shard_size: int | None
    mix_instructions: bool
    max_failures: int | None
    restart: bool
