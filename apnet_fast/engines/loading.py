"""Load an engine from what it can be loaded from again, in any process."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakValueDictionary

from apnet_fast.engines import choose_devices, create_engine, default_precision
from apnet_fast.engines.base import Engine
from apnet_fast.networks.checkpoint import load_checkpoint
from apnet_fast.networks.shipped import SHIPPED, weights_path
from apnet_fast.recipes import get_recipe
from apnet_fast.support.errors import WeightsError


@dataclass(frozen=True)
class EngineOptions:
    """Hold the choices of a user, which mean the same in every process; None leaves one to the package.

    weights: absolute path, or a word of `SHIPPED`. sha256: that of the weights file, "" before it was read.
    """

    weights: str
    recipe: str | None
    device: str | None
    engine: str
    precision: str | None
    sha256: str = ""

    @classmethod
    def of(
        cls, weights: str | Path, recipe: str | None, device: str | None, engine: str, precision: str | None
    ) -> EngineOptions:
        """Return options that do not depend on the folder in which the process runs."""
        word = str(weights)
        path = word if word in SHIPPED else os.path.abspath(word)
        return cls(path, recipe, device, engine, precision)


def load_engine(options: EngineOptions) -> tuple[Engine, EngineOptions]:
    """Load an engine; return it with the options that load the same weights and no others.

    Raises WeightsError for weights that cannot be used or have another checksum, UsageError for unknown names.
    """
    engine = _load(options)
    options = replace(options, sha256=engine.checkpoint.sha256)
    _shared[options] = engine
    return engine, options


def shared_engine(options: EngineOptions) -> Engine:
    """Return this process's engine of these options, and load it if there is none; raises what `load_engine` does."""
    with _locks[0]:
        engine = _shared.get(options)
        return load_engine(options)[0] if engine is None else engine


def _load(options: EngineOptions) -> Engine:
    checkpoint = load_checkpoint(weights_path(options.weights))
    if options.sha256 not in ("", checkpoint.sha256):
        raise WeightsError(
            "the weights file is another one than when the network was loaded",
            got=f"sha256 {checkpoint.sha256}",
            expected=options.sha256,
            remedy="load the network again, with ApogeeNet.load",
            where=options.weights,
        )
    network = checkpoint.network
    device = choose_devices(None, options.device, options.engine, network)
    precision = options.precision or default_precision(options.engine, device, network)
    recipe = get_recipe(options.recipe, network)
    return create_engine(options.engine, checkpoint, recipe, device=device, precision=precision)


# Networks that came here by pickle, however many, share one engine and its weights as long as any of them lives.
_shared: WeakValueDictionary[EngineOptions, Engine] = WeakValueDictionary()
_locks = [threading.Lock()]


def _new_lock() -> None:
    """Forget a lock that another thread of the parent process may have held."""
    _locks[0] = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)
