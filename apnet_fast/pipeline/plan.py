"""The plan of a run: its files in shards, and the fingerprint that a resumed run must match."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from apnet_fast._version import __version__
from apnet_fast.inputs.words import Inputs
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.pipeline.settings import RunSettings
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import sha256_of

# In place of an instruction set: the shards of a run may come from different ones.
ANY_INSTRUCTIONS = "any"
# Every shard costs time when its parts are joined, and files on the disk.
MOST_SHARDS = 5000


@dataclass(frozen=True)
class Fingerprint:
    """Everything that the rows of a run depend on. Two runs may share shards only if all of it is equal.

    instructions: `ANY_INSTRUCTIONS` if the user lets a run mix them; its shards say which each was computed with.
    """

    version: str
    inputs: str
    weights: str
    network: str
    recipe: str
    draws: int
    seed: int
    engine: str
    device: str
    precision: str
    tuning: str
    spectra: str
    shard_size: int
    catalog: str
    instructions: str

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self)

    @property
    def digest(self) -> str:
        """Hash of all of it but the instruction set. The marker of a shard carries this and its own instruction set."""
        content = self.as_dict()
        del content["instructions"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def check_same(self, stored: Mapping[str, object], output: str) -> None:
        """Raise UsageError that names what differs from the run that the output folder belongs to."""
        changed = [
            f"{name} was {stored.get(name)!r} and is {value!r}"
            for name, value in self.as_dict().items()
            if stored.get(name) != value and not (name == "instructions" and value == ANY_INSTRUCTIONS)
        ]
        if changed:
            raise UsageError(
                "the output folder belongs to another run",
                got="; ".join(changed),
                expected="the command that began it",
                remedy="give another --output, or --restart to discard what is there",
                where=output,
            )


@dataclass(frozen=True)
class Plan:
    """The files of a run in the order of its rows, cut into shards of equal size (the last may be shorter)."""

    files: tuple[str, ...]
    shard_size: int
    fingerprint: Fingerprint

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-len(self.files) // self.shard_size)

    def files_of(self, shard: int) -> tuple[str, ...]:
        """Return the files of a shard, 0 .. shards - 1."""
        return self.files[shard * self.shard_size : (shard + 1) * self.shard_size]


def make_plan(settings: RunSettings, inputs: Inputs, checkpoint: Checkpoint) -> Plan:
    """Return the plan of a run over some inputs. Raises OSError for a catalog that cannot be read.

    Shards are larger than asked for if there would be more than `MOST_SHARDS` of them.
    """
    shard_size = max(settings.shard_size, -(-len(inputs.files) // MOST_SHARDS))
    fingerprint = Fingerprint(
        version=__version__,
        inputs=inputs.digest,
        weights=f"sha256 {checkpoint.sha256}",
        network=checkpoint.network,
        recipe=settings.recipe,
        draws=settings.draws,
        seed=settings.seed,
        engine=settings.engine,
        device=settings.devices[0].partition(":")[0],
        precision=settings.precision,
        tuning=settings.tuning,
        spectra=settings.spectra,
        shard_size=shard_size,
        catalog="" if settings.catalog is None else f"sha256 {sha256_of(settings.catalog)}",
        instructions=ANY_INSTRUCTIONS if settings.mix_instructions else settings.instructions,
    )
    return Plan(inputs.files, shard_size, fingerprint)
