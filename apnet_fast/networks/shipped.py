"""Weights that come with the package, and the words that stand for them wherever weights are asked for."""

from __future__ import annotations

from pathlib import Path

SHIPPED = {"demo": Path(__file__).resolve().parent.parent / "data" / "demo.safetensors"}


def weights_path(weights: str | Path) -> Path:
    """The weights file that is meant: that of a word in `SHIPPED` ("demo": for simulated spectra only), or a path."""
    return SHIPPED.get(str(weights)) or Path(weights)
