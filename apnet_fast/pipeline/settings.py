"""What a run does: every choice that its arguments leave open, made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from apnet_fast.engines import choose_devices, default_precision, find_engine
from apnet_fast.engines.instruction_set import instruction_set
from apnet_fast.networks.checkpoint import load_checkpoint, network_of
from apnet_fast.networks.shipped import weights_path
from apnet_fast.pipeline.arguments import RunArguments, Spectra
from apnet_fast.recipes import Recipe, get_recipe
from apnet_fast.spectra.batch import Product
from apnet_fast.spectra.pack import is_pack

# Files per shard, by engine: a shard is what a killed run may lose, and minutes of a slow engine are enough.
_DEFAULT_SHARD_SIZE = {"reference": 16, "cpu": 32}
_FALLBACK_SHARD_SIZE = 1000
_STARS_PER_PACK_FILE = 50

_CORES_FOR_READERS, _MOST_READERS = 4, 4


@dataclass(frozen=True)
class RunSettings:
    """The arguments of a run with every choice made; fields are documented in `RunArguments`.

    words: the INPUT words. network: "v3", "v2" or "v1", from the weights. devices: one worker each. engine: never
    "auto". recipe: its name. precision: the one in which these weights are computed. tuning: hash of the tables that
    the engine uses on the devices. instructions: the instruction set that a CPU engine uses, see
    `engines.instruction_set`. threads: None leaves torch's number as it is.
    """

    words: tuple[str, ...]
    weights: Path
    output: Path
    catalog: Path | None
    root: Path | None
    network: str
    devices: tuple[str, ...]
    engine: str
    recipe: str
    draws: int
    seed: int
    precision: str
    tuning: str
    instructions: str
    mix_instructions: bool
    spectra: Spectra
    readers: int
    threads: int | None
    batch_size: int
    shard_size: int
    max_failures: int | None
    restart: bool

    @property
    def device(self) -> str:
        """The devices as one word, with commas between them."""
        return ",".join(self.devices)

    @property
    def products(self) -> tuple[Product, ...]:
        """The products that the run writes."""
        return ("star", "visit") if self.spectra == "both" else (self.spectra,)

    def find_recipe(self) -> Recipe:
        """Return the recipe of that name."""
        return get_recipe(self.recipe, self.network)


def resolve_settings(arguments: RunArguments) -> RunSettings:
    """Make the choices that the arguments leave open, on the machine that computes: its devices are looked at.

    Raises WeightsError for weights that cannot be read, UsageError for unknown names and for what the recipe, the
    engine or the machine cannot do.
    """
    weights = weights_path(arguments.weights)
    network = network_of(weights)
    recipe = get_recipe(arguments.recipe, network)
    device = choose_devices(arguments.gpus, arguments.device, arguments.engine, network)
    devices = tuple(device.split(","))
    precision = arguments.precision
    if precision is None:
        precision = default_precision(arguments.engine, device, network)
    engines = [find_engine(arguments.engine, precision, each, network) for each in devices]
    name = engines[0].name
    draws = recipe.default_draws if arguments.draws is None else arguments.draws
    recipe.check_draws(draws)
    if precision == "fp16":
        precision = engines[0].effective_precision(load_checkpoint(weights), precision)
    tables = {engine.tuning_sha256(each) for engine, each in zip(engines, devices, strict=True)}
    return RunSettings(
        words=arguments.words,
        weights=weights,
        output=arguments.output,
        catalog=arguments.catalog,
        root=arguments.root,
        network=network,
        devices=devices,
        engine=name,
        recipe=recipe.name,
        draws=draws,
        seed=arguments.seed,
        precision=precision,
        tuning=",".join(sorted(tables)),
        instructions=instruction_set(name, devices[0]),
        mix_instructions=arguments.mix_instructions,
        spectra=arguments.spectra,
        readers=default_readers(devices) if arguments.readers is None else arguments.readers,
        threads=arguments.threads,
        batch_size=arguments.batch_size,
        shard_size=arguments.shard_size or default_shard_size(name, arguments.words),
        max_failures=arguments.max_failures,
        restart=arguments.restart,
    )


def default_shard_size(engine: str, words: Sequence[str] = ()) -> int:
    """Return the files per shard with which a shard of that engine takes minutes at most.

    If all inputs are packs, whose files hold many stars, it is fewer. Packs beside other files make shards that take
    longer: for a tree of small files, four fsyncs per small shard would be worse.
    """
    size = _DEFAULT_SHARD_SIZE.get(engine, _FALLBACK_SHARD_SIZE)
    return max(size // _STARS_PER_PACK_FILE, 1) if words and all(map(is_pack, words)) else size


def default_readers(devices: Sequence[str]) -> int:
    """Return the reader processes per device: none beside CPU engines, which need the cores more, nor on few cores.

    On 2 cores a run reads 1.4 times as fast in its own process as through another.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores_each = cores // len(devices)
    on_cpu = devices[0].startswith("cpu")
    return 0 if on_cpu or cores_each < _CORES_FOR_READERS else min(cores_each // 2, _MOST_READERS)
