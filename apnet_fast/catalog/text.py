"""Text of Arrow columns as numpy arrays of fixed width."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def fixed_width(texts: pa.Array | pa.ChunkedArray, width: int) -> NDArray[np.bytes_]:
    """The UTF-8 bytes of texts (n,), none of them null, filled up with NUL: bytes (n,) of `width`, at least 1.

    Raises ValueError where a text is longer than that.
    """
    width = max(width, 1)
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if len(texts) and pc.max(pc.binary_length(texts)).as_py() > width:
        raise ValueError(f"a text is longer than the {width} bytes of its column")
    filled = pc.ascii_rpad(texts, width=width, padding="\0")
    return np.frombuffer(filled.buffers()[2] or b"", f"S{width}", count=len(filled))
