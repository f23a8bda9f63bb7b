"""apnet_fast: ApogeeNet over the whole APOGEE survey.

    net = apnet_fast.ApogeeNet.load("weights.safetensors", recipe="dr19", device="cpu")
    labels = net.predict(flux, error)            # (n, 8575) arrays in, structured array out

    summary = apnet_fast.run_survey("stars/", weights="weights.safetensors", output="catalogues")

`ApogeeNet` and `run_survey` are imported on first use, so that reader processes, which do not need torch, start fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from apnet_fast._version import __version__
from apnet_fast.support.errors import FluxWarning, WeightsWarning
from apnet_fast.support.interrupts import end_quietly_while_importing, is_command

if is_command():
    end_quietly_while_importing()

__all__ = ["ApogeeNet", "FluxWarning", "WeightsWarning", "__version__", "run_survey"]

# Rooms whose names docs/api.md describes.
_PUBLIC_ROOMS = (
    "backends", "cluster", "pipeline", "plots", "predict", "recipes", "simulate", "spectra", "support",
)  # fmt: skip

if TYPE_CHECKING:
    from apnet_fast.api import ApogeeNet
    from apnet_fast.pipeline.run import run_survey
else:
    # Hidden from type checkers, to which a module with __getattr__ has every name, misspelt ones too.
    def __getattr__(name):
        if name == "ApogeeNet":
            from apnet_fast.api import ApogeeNet

            return ApogeeNet
        if name == "run_survey":
            from apnet_fast.pipeline.run import run_survey

            return run_survey
        if name in _PUBLIC_ROOMS:
            return import_module(f"apnet_fast.{name}")
        raise AttributeError(f"module 'apnet_fast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_PUBLIC_ROOMS])
