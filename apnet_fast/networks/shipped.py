"""List the weights that come with the package, and the words that stand for them."""

from __future__ import annotations

from pathlib import Path

SHIPPED = {"demo": Path(__file__).resolve().parent.parent / "data" / "demo.safetensors"}


def weights_path(weights: str | Path) -> Path:
    """Return the weights file for a word in `SHIPPED` ("demo": for simulated spectra only), or for a path."""
    return SHIPPED.get(str(weights)) or Path(weights)
