"""Environment variables that give defaults: what a command line and a Python call leave out is looked for here."""

from __future__ import annotations

import os
from pathlib import Path

WEIGHTS = "APNET_FAST_WEIGHTS"
RECIPE = "APNET_FAST_RECIPE"
DEVICE = "APNET_FAST_DEVICE"
SAS = "SAS_BASE_DIR"
ASTRA = "MWM_ASTRA"

VARIABLES = {
    WEIGHTS: "weights file, or demo",
    RECIPE: "recipe",
    DEVICE: "devices, such as cpu or cuda:0,cuda:1; --gpus on the command line comes first",
    SAS: "folder that holds dr17/, dr19/, sdsswork/, ...: the root of tables; the newest summary table below it is the"
    " input",
    ASTRA: "Astra's folder: its weights (pipelines/ANet/deconstructed_model), its summary tables, and the outputs",
}
"""What each variable gives. An option comes before the configuration file, and that before a variable."""


def value_of(variable: str) -> str | None:
    """Return the value of an environment variable; None if it is not set or blank."""
    return os.environ.get(variable, "").strip() or None


def folder_of(variable: str) -> Path | None:
    """Return the folder that a variable names; None if it is not set, or names no folder."""
    value = value_of(variable)
    return Path(value) if value and os.path.isdir(value) else None


def state_of(variable: str) -> str:
    """Return in words, for messages, what a variable that should name a folder holds."""
    value = value_of(variable)
    if value is None:
        return f"{variable} is not set"
    return f"{variable} is {value}" + ("" if os.path.isdir(value) else ", which is not a folder")


def cache_folder() -> Path:
    """Return the folder of this package below the user's caches (XDG_CACHE_HOME, else ~/.cache)."""
    caches = value_of("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "apnet_fast"
