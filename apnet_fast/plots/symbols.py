"""Name the labels on axes, in the same way in every figure."""

from __future__ import annotations

SYMBOLS = {"teff": r"$T_\mathrm{eff}$", "logg": r"$\log\,g$", "fe_h": "[Fe/H]"}
PRODUCT_NAMES = {"star": "stars (coadds)", "visit": "visits"}
UNITS = {"teff": "K", "logg": "dex", "fe_h": "dex"}


def axis_label(label: str, quantity: str = "{}") -> str:
    """Return the text of an axis that shows a label, or a quantity in its unit such as "error of {}"."""
    return f"{quantity.format(SYMBOLS[label])}  [{UNITS[label]}]"
