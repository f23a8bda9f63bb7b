"""Read the cards of a finished catalogue, which record what its rows depend on."""

from __future__ import annotations

from pathlib import Path

import fitsio
import pyarrow as pa
import pyarrow.parquet as pq

from apnet_fast.catalog.parquet_metadata import is_astropys
from apnet_fast.support.regular_files import check_regular


def catalogue_cards(path: str | Path) -> dict[str, str]:
    """Return keywords and values of HDU 0 of a FITS catalogue, or of the metadata of a Parquet one.

    Empty if the file cannot be read as either: whoever reads its rows reports that.
    """
    path = Path(path)
    try:
        check_regular(path)
        if path.suffix == ".parquet":
            metadata = pq.read_schema(path).metadata or {}
            texts = {
                key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in metadata.items()
            }
            return {key: value for key, value in texts.items() if not is_astropys(key)}
        header = fitsio.read_header(str(path), ext=0)
        return {name: str(header[name]).strip() for name in header if name}
    except (OSError, ValueError, pa.ArrowInvalid):
        return {}
