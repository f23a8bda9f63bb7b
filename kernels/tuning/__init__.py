"""Tuning tables: one reviewed JSON file per architecture, chosen by device, never changed during a run.

A table fixes the blocks of every kernel. It changes speed, and labels by rounding at most, so its hash
belongs to the provenance of a run. `python -m apnet_fast.tune` measures a GPU and writes its table.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from apnet_fast.kernels.pool import PoolConfig
from apnet_fast.kernels.stem import JointConfig, StemConfig
from apnet_fast.kernels.toeplitz import CleanConfig, ConvConfig

FOLDER = Path(__file__).parent
GENERIC = "generic"


@dataclass(frozen=True)
class Tuning:
    """Blocks of all kernels for one architecture, and how many rows they compute in one go.

    group_rows: draws that go through the convs together, few enough that a layer's input and output stay in L2.
    tile_rows: rows (clean spectra and draws) of a tile, enough to amortise reading the linear layers' weights. convs:
    by "C_in-C_out". measured: where the numbers come from, in words.
    """

    name: str
    measured: str
    group_rows: int
    tile_rows: int
    stem: StemConfig
    joint: JointConfig
    pool: PoolConfig
    clean: CleanConfig
    convs: dict[str, ConvConfig]

    def conv(self, c_in: int, c_out: int) -> ConvConfig:
        """Return the blocks of a convolution, or one that works for every shape if the table lacks it."""
        known = self.convs.get(f"{c_in}-{c_out}")
        if known is not None:
            return known
        # Rows of at least 128 columns, in a power of two of positions that divides a segment (channels are one too).
        positions = min(max(128 // c_out, 4), 16)
        return ConvConfig(positions, block_m=128, block_n=min(positions * c_out, 128), block_k=32, warps=4, stages=3)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @property
    def sha256(self) -> str:
        """Hash of all values that the kernels see."""
        content = {key: value for key, value in self.as_dict().items() if key not in ("name", "measured")}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(self.as_dict(), indent=2) + "\n", encoding="utf-8")


def load_tuning(path: Path) -> Tuning:
    """Read a table from JSON."""
    values = json.loads(path.read_text(encoding="utf-8"))
    return Tuning(
        **{
            **values,
            "stem": StemConfig(**values["stem"]),
            "joint": JointConfig(**values["joint"]),
            "pool": PoolConfig(**values["pool"]),
            "clean": CleanConfig(**values["clean"]),
            "convs": {shape: ConvConfig(**config) for shape, config in values["convs"].items()},
        }
    )


def shipped() -> dict[str, Tuning]:
    """Return all tables that come with the package, by name."""
    return {path.stem: load_tuning(path) for path in sorted(FOLDER.glob("*.json"))}


def table_for(architecture: str) -> Tuning:
    """Return the table of an architecture such as "sm90" or "gfx942", or the generic table if it has none."""
    path = FOLDER / f"{architecture}.json"
    return load_tuning(path if path.is_file() else FOLDER / f"{GENERIC}.json")
