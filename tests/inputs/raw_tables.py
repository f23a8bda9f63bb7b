"""FITS tables written byte by byte, whatever the libraries think of their cards."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from astropy.io import fits


def table_of(form: str, data: np.ndarray, cards: Sequence[tuple[str, object]] = ()) -> bytes:
    """A table of one raw column, written without astropy's idea of its cards."""
    big = np.ascontiguousarray(data).astype(data.dtype.newbyteorder(">"))
    width = big.itemsize * int(np.prod(big.shape[1:], dtype=int))
    header = fits.Header()
    for key, value in [
        ("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", width), ("NAXIS2", len(big)),
        ("PCOUNT", 0), ("GCOUNT", 1), ("TFIELDS", 1), ("TTYPE1", "X"), ("TFORM1", form), *cards,
    ]:  # fmt: skip
        header[key] = value
    primary = io.BytesIO()
    fits.PrimaryHDU().writeto(primary)
    rows = big.tobytes()
    return primary.getvalue() + header.tostring().encode() + rows + bytes(-len(rows) % 2880)
