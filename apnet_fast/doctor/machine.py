"""Tell the versions of all packages, the processor and the GPUs."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import torch

from apnet_fast._version import __version__
from apnet_fast.engines.instruction_set import instruction_set

Facts = dict[str, str]

NEEDED = (
    "numpy", "torch", "triton", "llvmlite", "numba", "fitsio", "pyarrow", "msgspec", "safetensors", "jinja2", "typer",
    "rich", "pyyaml",
)  # fmt: skip
OPTIONAL = ("matplotlib", "distributed", "cryptography", "astropy", "pandas")
_CGROUP = Path("/sys/fs/cgroup")


def versions() -> Facts:
    """Return the versions of this package, Python, the system and every package that it uses; "none" if missing."""
    facts = {
        "apnet_fast": f"{__version__}, in {Path(__file__).parents[1]}",
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.platform()}",
    }
    return facts | {name: _version(name) for name in (*NEEDED, *OPTIONAL)}


def processor() -> Facts:
    """Return the processor, and the cores, memory and instructions that this process may use."""
    return {
        "model": _first_of("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": f"{os.cpu_count()}, of which this process may use {_usable_cores()}",
        "threads of torch": str(torch.get_num_threads()),
        "instruction set": instruction_set("cpu"),
        "memory": ", ".join(filter(None, (_kilobytes("MemTotal", ""), _kilobytes("MemAvailable", " available")))),
        "limits of the container": _container(),
    }


def gpus() -> Facts:
    """Return every GPU that torch sees."""
    built = f"ROCm {torch.version.hip}" if torch.version.hip else f"CUDA {torch.version.cuda}"
    facts = {"torch built for": built if torch.version.hip or torch.version.cuda else "the CPU only"}
    count = torch.cuda.device_count()
    if not count:
        return facts | {"GPUs": "none visible"}
    # Triton exists only where GPUs may be.
    from apnet_fast.engines.triton import architecture_of

    for number in range(count):
        device = f"cuda:{number}"
        properties = torch.cuda.get_device_properties(device)
        memory = f"{properties.total_memory / 1e9:.0f} GB, {properties.multi_processor_count} processors"
        facts[device] = f"{properties.name}, {architecture_of(device)}, {memory}"
    return facts


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _first_of(path: str, name: str) -> str:
    """Return the first value of a name in a file of lines "name : value"; "" if there is none."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")


def _kilobytes(name: str, word: str) -> str:
    number = _first_of("/proc/meminfo", name).partition(" ")[0]
    return f"{int(number) / 1e6:.1f} GB{word}" if number.isdigit() else ""


def _container() -> str:
    """Return what a control group (version 2) leaves to this process; batch systems and containers set it."""
    found = []
    try:
        quota, _, period = (_CGROUP / "cpu.max").read_text().strip().partition(" ")
        if quota != "max":
            found.append(f"{int(quota) / int(period):.1f} cores")
        memory = (_CGROUP / "memory.max").read_text().strip()
        if memory != "max":
            found.append(f"{int(memory) / 1e9:.1f} GB")
    except (OSError, ValueError):
        return "not known"
    return ", ".join(found) or "none"
