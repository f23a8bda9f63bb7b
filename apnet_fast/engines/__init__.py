"""Engines: how a recipe's predictions are computed. `create_engine` makes one by name."""

from __future__ import annotations

from apnet_fast.engines.base import Engine
from apnet_fast.engines.cpu import CpuEngine
from apnet_fast.engines.null import NullEngine
from apnet_fast.engines.reference import ReferenceEngine
from apnet_fast.errors import UsageError
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import Recipe

__all__ = ["ENGINES", "CpuEngine", "Engine", "NullEngine", "ReferenceEngine", "create_engine", "find_engine"]

ENGINES: dict[str, type[Engine]] = {engine.name: engine for engine in (CpuEngine, ReferenceEngine, NullEngine)}


def create_engine(
    name: str, checkpoint: Checkpoint, recipe: Recipe, *, device: str = "cpu", precision: str = "fp32"
) -> Engine:
    """The engine of that name, with its weights loaded; "auto" is the fastest for the device.

    Raises UsageError for an unknown engine or a precision it does not have.
    """
    return find_engine(name, precision, device)(checkpoint, recipe, device=device, precision=precision)


def find_engine(name: str, precision: str, device: str) -> type[Engine]:
    """The class of an engine; UsageError for an unknown name, or what that engine cannot do."""
    if name == "auto":
        name = "cpu"
    if name not in ENGINES:
        raise UsageError(
            "unknown engine", got=repr(name), expected=" | ".join(["auto", *ENGINES]), remedy="--engine auto"
        )
    engine = ENGINES[name]
    engine.check(precision, device)
    return engine
