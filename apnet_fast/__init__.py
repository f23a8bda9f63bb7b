"""apnet_fast: ApogeeNet over the whole APOGEE survey.

    net = apnet_fast.ApogeeNet.load("weights.safetensors", recipe="dr19", device="cpu")
    labels = net.predict(flux, error)            # (n, 8575) arrays in, structured array out

`ApogeeNet` is imported on first use, so that reader processes, which do not
need torch, start fast.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from apnet_fast._version import __version__

if TYPE_CHECKING:
    from apnet_fast.api import ApogeeNet

__all__ = ["ApogeeNet", "__version__"]

# In a source tree that is not installed, kernels/ stands beside this folder, not in it.
_SOURCE = Path(__file__).parent.parent
if not (_SOURCE / "apnet_fast" / "kernels").exists() and (_SOURCE / "pyproject.toml").exists():
    __path__.append(str(_SOURCE))


def __getattr__(name: str) -> Any:
    if name == "ApogeeNet":
        from apnet_fast.api import ApogeeNet

        return ApogeeNet
    raise AttributeError(f"module 'apnet_fast' has no attribute {name!r}")
