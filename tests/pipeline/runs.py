"""Helpers for tests that run the pipeline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from apnet_fast.catalog.columns import COLUMNS
from apnet_fast.catalog.names import PRODUCT_NAMES, RUN_FILE
from apnet_fast.pipeline.arguments import RunArguments
from apnet_fast.pipeline.settings import RunSettings, resolve_settings
from apnet_fast.spectra import Product

# What may differ between two runs of the same command.
TIMES = ["created", "t_elapsed", "t_overhead"]


def arguments(inputs: list[Path | str], weights: Path, output: Path, **changes: object) -> RunArguments:
    """Return arguments of a quick run."""
    values: dict[str, Any] = {"device": "cpu", "engine": "cpu", "draws": 3, "batch_size": 8, "shard_size": 2}
    return RunArguments(tuple(map(str, inputs)), weights, output, **(values | changes))


def settings(inputs: list[Path | str], weights: Path, output: Path, **changes: object) -> RunSettings:
    """Settings of a quick run."""
    return resolve_settings(arguments(inputs, weights, output, **changes))


def catalogue(output: Path, product: Product) -> pa.Table:
    """Rows of a product without the columns that hold times."""
    table = pq.read_table(output / f"{PRODUCT_NAMES[product]}.parquet")
    assert table.column_names == [column.name for column in COLUMNS[product]]
    return table.drop_columns(TIMES).replace_schema_metadata(None)


def catalogue_bytes(output: Path, products: Sequence[Product] = ("star", "visit")) -> bytes:
    """The products, times aside, as bytes to compare: NaN equals NaN, and order counts."""
    return b"".join(table_bytes(catalogue(output, product)) for product in products)


def table_bytes(table: pa.Table) -> bytes:
    """A table as bytes to compare: NaN equals NaN, and order counts."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


def quarantine(output: Path) -> list[dict[str, object]]:
    """Rows of quarantine.parquet."""
    return pq.read_table(output / "quarantine.parquet").to_pylist()


def stored_shards(output: Path) -> list[Path]:
    """The folders of the shards that are stored, in order."""
    return sorted(marker.parent for marker in output.glob("shards/??????/marker.json"))


def stored_record(output: Path) -> dict[str, Any]:
    """The content of run.json."""
    return json.loads((output / RUN_FILE).read_text())
