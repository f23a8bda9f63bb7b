"""Names of the files that a run leaves in its output folder."""

from __future__ import annotations

from apnet_fast._version import __version__
from apnet_fast.spectra.batch import Product

PRODUCT_STEMS: dict[Product, str] = {"star": "astraAllStarAPOGEENet", "visit": "astraAllVisitAPOGEENet"}
"""The beginning of the two products' names, for every version."""

PRODUCT_NAMES: dict[Product, str] = {product: f"{stem}-{__version__}" for product, stem in PRODUCT_STEMS.items()}
"""Names of the products of this version, without .fits or .parquet."""

RUN_FILE = "run.json"
QUARANTINE_FILE = "quarantine.parquet"
