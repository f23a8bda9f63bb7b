"""Make the output folder of a finished run, without a run."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from apnet_fast.catalog.rows import QUARANTINE_SCHEMA
from tests.validate.catalogues import changed, visit_table, written

RECORD: dict[str, object] = {
    "software": "apnet_fast 0.1.0",
    "fingerprint": {"recipe": "dr19", "seed": 0, "draws": 20},
    "weights": {"network": "v3", "sha256": "0123456789abcdef" * 4},
    "files": 41,
    "rows": {"star": 1},
    "stage_seconds": {"reading": 2.5, "engine": 10.0, "catalogues": 0.0},
    "skipped_files": {"older_versions": ["<script>alert(1)</script>"]},
    "started": "2026-01-01T00:00:00+00:00",
    "finished": "2026-01-01T01:02:03+00:00",
    "resumed_shards": 0,
}
_START = datetime(2026, 1, 1, tzinfo=UTC)


def spectra(seed: int, stars: int, shards: int = 12) -> pa.Table:
    """Make a visit table with positions, S/N and times of shards."""
    rng = np.random.default_rng(seed)
    table = visit_table(0, stars=stars)
    rows = len(table)
    made = [(_START + timedelta(seconds=60.0 * (1 + row * shards // rows))).isoformat() for row in range(rows)]
    table = changed(table, teff=(table["teff"].to_numpy() + rng.normal(0, 1, rows)).astype(np.float32))
    for name, values in (
        ("ra", rng.uniform(0, 360, rows)),
        ("dec", np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))),
        ("snr", (1000 / table["raw_e_teff"].to_numpy()).astype(np.float32)),
        ("created", made),
    ):
        table = table.append_column(name, pa.array(values))
    return table


def run_folder(folder: Path, record: dict[str, object], *, failures: int = 1, stars: int = 60, seed: int = 0) -> Path:
    """Write both catalogues, a quarantine and run.json of a finished run."""
    folder.mkdir(exist_ok=True)
    table = spectra(seed, stars)
    flags = np.zeros(len(table), dtype=np.int64)
    flags[:3], flags[3] = 64, 1 << 20
    table = changed(table, result_flags=flags, flag_warn=flags == 64)
    for product in ("Star", "Visit"):
        written(table, folder / f"astraAll{product}APOGEENet-0.1.0.parquet", PRODUCT=product.lower())
    row = ("star", '/a/<b>&"c".fits', 1, 0, "no_data", "<img src=x>")
    columns = [pa.array([value] * failures, field.type) for value, field in zip(row, QUARANTINE_SCHEMA, strict=True)]
    pq.write_table(pa.Table.from_arrays(columns, schema=QUARANTINE_SCHEMA), folder / "quarantine.parquet")
    (folder / "run.json").write_text(json.dumps(record))
    return folder
