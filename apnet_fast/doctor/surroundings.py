"""Tell the caches of compiled code, and the environment variables that change what this package does."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from apnet_fast.doctor.machine import Facts
from apnet_fast.networks.checkpoint import network_of
from apnet_fast.networks.shipped import weights_path
from apnet_fast.recipes.noise import philox4x32
from apnet_fast.support.errors import WeightsError
from apnet_fast.support.variables import ASTRA, SAS, WEIGHTS

_PREFIXES = (
    "APNET_FAST_", "ATEN_", "CUDA_", "DASK_", "HIP_", "KMP_", "MKL_", "NUMBA_", "NUMEXPR_", "OMP_", "ONEDNN_",
    "OPENBLAS_", "PYTORCH_", "ROCR_", "TORCH", "TRITON_",
)  # fmt: skip
_NAMES = (
    "LD_LIBRARY_PATH", "MWM_ASTRA", "PYTHONPATH", "SAS_BASE_DIR", "SLURM_CPUS_PER_TASK", "SLURM_JOB_ID",
    "SLURM_JOB_NUM_NODES", "TMPDIR", "XDG_CACHE_HOME",
)  # fmt: skip
# A report is sent to others.
_SECRETS = ("TOKEN", "SECRET", "PASSW", "KEY", "CREDENTIAL")


def caches() -> Facts:
    """Return where compiled code is kept, how much there is, and whether more can be written."""
    of_triton = os.environ.get("TRITON_CACHE_DIR") or Path.home() / ".triton" / "cache"
    return {
        "numba": _numba_text(),
        "triton": folder_text(Path(of_triton)),
        "temporary files": folder_text(Path(tempfile.gettempdir()), content=False),
    }


def _numba_text() -> str:
    """Name the folder of all compiled functions; without NUMBA_CACHE_DIR each module has its own, beside its file."""
    of_one = getattr(philox4x32._cache, "cache_path", None)
    if of_one is None:
        return "none: there is no folder to write to"
    common = os.environ.get("NUMBA_CACHE_DIR")
    return folder_text(Path(common)) if common else f"{folder_text(Path(of_one))}, and the like for other modules"


def environment(variables: Mapping[str, str] | None = None) -> Facts:
    """Return the variables that matter and are set, sorted by name; default: those of this process.

    What is wrong with a value stands beside it: weights that cannot be used, and no folder where one belongs.
    """
    variables = os.environ if variables is None else variables
    chosen = sorted(name for name in variables if name in _NAMES or name.startswith(_PREFIXES))
    return {
        name: "(set; not shown)"
        if any(word in name.upper() for word in _SECRETS)
        else variables[name] + _fault(name, variables[name].strip())
        for name in chosen
    } or {"variables": "none of those that matter is set"}


def _fault(name: str, value: str) -> str:
    """Return in brackets what is wrong with the value of one of this package's own variables."""
    if name in (SAS, ASTRA) and value and not os.path.isdir(value):
        return "  (NO FOLDER)"
    if name == WEIGHTS and value:
        try:
            network_of(weights_path(value))
        except (WeightsError, OSError) as error:
            # The rest of the message quotes the file, which may be anything.
            return f"  (NO WEIGHTS FILE: {str(error).split(';')[0]})"
    return ""


def folder_text(folder: Path, *, content: bool = True) -> str:
    """Say whether a folder is there and can be written to, what it holds, and how much room its disk has."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    parts = [str(folder)]
    if there != folder:
        parts.append("not there yet")
    elif content:
        sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
        parts.append(f"{len(sizes)} files, {sum(sizes) / 1e6:.1f} MB")
    parts.append("can be written to" if _can_write(there) else "CANNOT be written to")
    parts.append(f"{shutil.disk_usage(there).free / 1e9:.1f} GB free")
    return ", ".join(parts)


def _can_write(folder: Path) -> bool:
    """Try it: mode bits say nothing to root, nor on file systems that are mounted read-only."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
