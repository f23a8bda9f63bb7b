"""Compute a recipe's predictions. `create_engine` makes an engine by name."""

from __future__ import annotations

import re
from importlib.util import find_spec

from apnet_fast.engines.base import Engine, absent_gpus
from apnet_fast.engines.cpu import CpuEngine
from apnet_fast.engines.null import NullEngine
from apnet_fast.engines.reference import ReferenceEngine
from apnet_fast.engines.several import SeveralDevices
from apnet_fast.engines.vgg import VggCpuEngine, VggTorchEngine
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import Recipe
from apnet_fast.support.errors import UsageError
from apnet_fast.support.forks import sound
from apnet_fast.support.variables import DEVICE

__all__ = [
    "ENGINES",
    "CpuEngine",
    "Engine",
    "NullEngine",
    "ReferenceEngine",
    "SeveralDevices",
    "VggCpuEngine",
    "VggTorchEngine",
    "absent_gpus",
    "choose_devices",
    "create_engine",
    "default_precision",
    "find_engine",
]

# All engines except Triton's, which is imported on demand. Engines for different networks may share a name.
ENGINES: tuple[type[Engine], ...] = (CpuEngine, VggCpuEngine, VggTorchEngine, ReferenceEngine, NullEngine)
_TRITON_NETWORKS = ("v3",)
_DEVICE_NAME = re.compile("cpu|cuda(:[0-9]+)?")


@sound
def create_engine(
    name: str, checkpoint: Checkpoint, recipe: Recipe, *, device: str = "cpu", precision: str = "fp32"
) -> Engine:
    """Return the engine of that name, with its weights loaded; "auto" is the fastest for the device.

    device: "cpu", "cuda:0", or several separated by commas.
    Raises UsageError for an unknown engine or a precision it does not have.
    """
    devices = device.split(",")
    engine = find_engine(name, precision, devices[0], checkpoint.network)
    for other in devices[1:]:
        engine.check(precision, other)
    if len(devices) > 1:
        return SeveralDevices([engine(checkpoint, recipe, device=each, precision=precision) for each in devices])
    return engine(checkpoint, recipe, device=device, precision=precision)


def find_engine(name: str, precision: str, device: str, network: str) -> type[Engine]:
    """Return the class of an engine; raises UsageError for an unknown name, or for what that engine cannot do.

    "auto" is the fastest for the network on the device: "cpu", or on a GPU "triton" (v3) or "torch" (v2, v1).
    """
    if name == "auto":
        on_gpu = "triton" if network in _TRITON_NETWORKS else "torch"
        name = "cpu" if device.startswith("cpu") else on_gpu
    named = {engine.name: engine for engine in ENGINES if network in engine.networks}
    if name == "triton" and network in _TRITON_NETWORKS:
        engine = _triton_engine()
    elif name in named:
        engine = named[name]
    else:
        known = name == "triton" or any(name == engine.name for engine in ENGINES)
        names = ["auto", *(["triton"] if network in _TRITON_NETWORKS else []), *named]
        raise UsageError(
            f"engine {name} does not compute ApogeeNet {network}" if known else "unknown engine",
            got=repr(name),
            expected=" | ".join(names),
            remedy="--engine auto",
        )
    engine.check(precision, device)
    return engine


def choose_devices(gpus: str | None, device: str | None, engine: str, network: str) -> str:
    """Return a run's devices, separated by commas: those asked for, else every visible GPU, else the CPU.

    gpus: numbers such as "0,1". device: names such as "cpu" or "cuda:0,cuda:1". Raises UsageError for other words, or
    if both arguments are given.
    """
    if gpus is not None and device is not None:
        raise UsageError("--gpus and --device at once", remedy="give one of them")
    if device is not None:
        return ",".join(_device_name(word) for word in device.split(","))
    if gpus is not None:
        numbers = [number.strip() for number in gpus.split(",")]
        if not all(number.isdigit() for number in numbers) or len(set(numbers)) < len(numbers):
            raise UsageError("--gpus is not a list of GPU numbers", got=repr(gpus), expected="such as 0 or 0,1")
        return ",".join(f"cuda:{number}" for number in numbers)
    if engine in ("auto", "triton", "torch", "reference"):
        import torch

        visible = torch.cuda.device_count()
        if engine == "auto" and network in _TRITON_NETWORKS and find_spec("triton") is None:
            visible = 0
        if visible:
            return ",".join(f"cuda:{number}" for number in range(visible if engine != "reference" else 1))
    return "cuda" if engine in ("triton", "torch") else "cpu"


def _device_name(word: str) -> str:
    name = word.strip()
    if not _DEVICE_NAME.fullmatch(name):
        raise UsageError(
            "no such device",
            got=repr(name),
            expected="cpu | cuda:0 | cuda:1 | ..., or several of them with commas between them",
            remedy=f"--device cpu, or {DEVICE}=cpu, or device='cpu' in Python",
        )
    return name


def default_precision(engine: str, device: str, network: str) -> str:
    """Return "fp16" if the Triton engine will run, else "fp32"."""
    triton = engine == "triton" or (engine == "auto" and not device.startswith("cpu"))
    return "fp16" if triton and network in _TRITON_NETWORKS else "fp32"


def _triton_engine() -> type[Engine]:
    """Import the Triton engine on demand: Triton exists only on Linux x86-64, and its import takes a second."""
    try:
        from apnet_fast.engines.triton import TritonEngine
    except ModuleNotFoundError as error:
        raise UsageError(
            "the triton engine cannot be loaded",
            got=str(error),
            expected="the package triton, which exists for Linux on x86-64",
            remedy="--engine cpu, or --engine reference on a GPU",
        ) from error
    return TritonEngine
