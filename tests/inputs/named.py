"""Files to name, and the names of what words resolve to."""

from __future__ import annotations

import os
from pathlib import Path

from apnet_fast.inputs.words import resolve_inputs


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def names(words: list[Path | str]) -> list[str]:
    return [os.path.basename(path) for path in resolve_inputs([str(word) for word in words]).files]
