"""Read the columns of a catalogue that figures of labels and errors show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apnet_fast.inputs.summary_tables import missing_columns, read_table, table_columns
from apnet_fast.recipes.labels import LABELS
from apnet_fast.support.errors import UsageError


@dataclass(frozen=True)
class LabelledRows:
    """Rows of a catalogue with finite labels.

    labels, raw_errors, errors: by label, float32 (n,). snr: float32 (n,), NaN if unknown. bad: bool (n,), flag_bad.
    """

    labels: Mapping[str, NDArray[np.float32]]
    raw_errors: Mapping[str, NDArray[np.float32]]
    errors: Mapping[str, NDArray[np.float32]]
    snr: NDArray[np.float32]
    bad: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.bad)


def read_labelled_rows(path: str | Path) -> LabelledRows:
    """Read the rows of a catalogue (FITS or Parquet) with finite labels. Raises UsageError if there are none."""
    names = [*(f"{prefix}{label}" for prefix in ("", "raw_e_", "e_") for label in LABELS), "snr", "flag_bad"]
    present = table_columns(path)
    if missing := [name for name in names if name not in present]:
        raise missing_columns("the catalogue lacks columns of labels and errors", missing, present, path)
    table = read_table(path, names)
    columns = {name: table[name].to_numpy() for name in names}
    known = np.all([np.isfinite(columns[label]) for label in LABELS], axis=0) & (columns["teff"] > 0)
    if not known.any():
        raise UsageError("no row has labels", got=f"{len(known)} rows", expected="a catalogue", where=str(path))

    def by_label(prefix: str) -> dict[str, NDArray[np.float32]]:
        return {label: columns[prefix + label][known].astype(np.float32, copy=False) for label in LABELS}

    return LabelledRows(
        by_label(""), by_label("raw_e_"), by_label("e_"), columns["snr"][known], columns["flag_bad"][known].astype(bool)
    )
