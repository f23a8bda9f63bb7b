"""Text of Arrow columns as numpy arrays of fixed width."""

from __future__ import annotations

import pyarrow as pa
import pytest

from apnet_fast.catalog.text import fixed_width


@pytest.mark.parametrize(
    "texts",
    [
        pa.array(["a", "", "xyz"]),
        pa.array(["cut", "a", "", "xyz"]).slice(1),
        pa.chunked_array([["a"], [], ["", "xyz"]], pa.string()),
    ],
    ids=["array", "slice", "chunks"],
)
def test_texts_are_filled_up(texts: pa.Array | pa.ChunkedArray) -> None:
    got = fixed_width(texts, 4)
    assert got.dtype == "S4"
    assert got.tobytes() == b"a\0\0\0\0\0\0\0xyz\0"


def test_width_counts_bytes() -> None:
    text = pa.array(["\N{LATIN SMALL LETTER E WITH ACUTE}"])
    assert fixed_width(text, 2).tolist() == [text[0].as_py().encode()]
    with pytest.raises(ValueError, match="longer than the 1 bytes"):
        fixed_width(text, 1)


@pytest.mark.parametrize("texts", [pa.array([], pa.string()), pa.chunked_array([], pa.string())])
def test_no_texts(texts: pa.Array | pa.ChunkedArray) -> None:
    assert fixed_width(texts, 0).dtype == "S1"
    assert len(fixed_width(texts, 3)) == 0
