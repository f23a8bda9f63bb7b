"""Turn text of Arrow columns into numpy arrays of fixed width."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def fixed_width(texts: pa.Array | pa.ChunkedArray, width: int) -> NDArray[np.bytes_]:
    """Return the UTF-8 bytes of texts (n,), filled up with NUL: bytes (n,) of `width`, at least 1.

    No text may be null. Raises ValueError for a text that is longer than `width`.
    """
    width = max(width, 1)
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if len(texts) and pc.max(pc.binary_length(texts)).as_py() > width:
        raise ValueError(f"a text is longer than the {width} bytes of its column")
    filled = pc.ascii_rpad(texts, width=width, padding="\0")
    return np.frombuffer(filled.buffers()[2] or b"", f"S{width}", count=len(filled))
