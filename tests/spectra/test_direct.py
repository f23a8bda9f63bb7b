"""The direct reader and the FITS library agree to the bit on whatever lies in a file, or the library rules alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import fitsio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apnet_fast.simulate import simulate_tree
from apnet_fast.spectra import direct
from apnet_fast.spectra.apstar import BOTH, read_apstar
from apnet_fast.spectra.batch import Product
from apnet_fast.spectra.direct import ApStar, read_direct
from tests.spectra.files import FORMS, NAME, PRODUCTS, distinct_rows, star_cards, write_apstar


def read(path: Path, products: Sequence[Product] = BOTH) -> ApStar | None:
    """What the direct reader alone makes of a file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return read_direct(descriptor, os.fstat(descriptor).st_size, products)
    finally:
        os.close(descriptor)


def outcome(path: Path, products: Sequence[Product], *, direct: bool) -> tuple[bytes, bytes, str]:
    """Everything a read gives, to compare; NaN equals NaN."""
    batch = read_apstar(str(path), products, direct=direct)
    assert batch.flux.dtype == batch.error.dtype == np.float32
    return batch.flux.tobytes(), batch.error.tobytes(), repr(batch.records)


def assert_same(path: Path) -> None:
    for products in PRODUCTS:
        left, right = (outcome(path, products, direct=direct) for direct in (True, False))
        # The names alone: where CI is set, pytest compares long values line by line, and rows keep it busy for hours.
        different = [name for i, name in enumerate(("flux", "error", "records")) if left[i] != right[i]]
        assert not different, (path.name, products)


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_read_directly(tmp_path: Path, name: str) -> None:
    path = FORMS[name].write(tmp_path / NAME)
    assert read(path) is not None
    assert_same(path)


def test_real_files_are_read_directly(data: Path) -> None:
    paths = sorted(data.glob("*/*.fits"))
    assert len(paths) == 8
    for path in paths:
        assert read(path) is not None
        assert_same(path)


@pytest.mark.parametrize("layout", ["legacy", "dr17", "sdss5"])
def test_edge_cases_of_every_layout(tmp_path: Path, layout: str) -> None:
    tree = simulate_tree(tmp_path / "tree", stars=3, layout=layout, seed=5, edge_cases=True)
    paths = [path for path in tree.rglob("*.fits") if not path.is_symlink()]
    for path in paths:
        assert_same(path)
    # Those that no reader can use, and no others, are left to the library: text, empty, cut, of 8000 pixels.
    assert sum(read(path) is None for path in paths) == 4


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_values_that_are_hard_to_cast(tmp_path: Path, dtype: str) -> None:
    flux, error = distinct_rows(4, dtype)
    limits = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-40, 3.4e38, -3.4e38]
    flux[2, : len(limits)] = error[3, : len(limits)] = limits
    if dtype == "f8":
        flux[3, :6] = 1e39, -1e300, 1e-320, 1 + 2**-24, 1 + 3 * 2**-24, 5e-324
    path = write_apstar(tmp_path / NAME, flux, error, star_cards(2))
    assert read(path) is not None
    assert_same(path)


def test_rows_without_data_are_known(tmp_path: Path) -> None:
    flux, error = distinct_rows(6)
    flux[2], flux[3], flux[4] = 0, np.nan, np.inf
    flux[4, -1] = 1
    got = read(write_apstar(tmp_path / NAME, flux, error, star_cards(4)))
    assert got is not None
    assert got.has_data.tolist() == [True, False, False, True, True]


def test_many_rows_do_not_use_the_kept_memory(tmp_path: Path) -> None:
    path = write_apstar(tmp_path / NAME, *distinct_rows(80, "f8"), star_cards(78))
    assert read(path) is not None
    assert_same(path)


@pytest.fixture(scope="module", params=["dr17", "legacy", "sdss5"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated file of two visits."""
    tree = simulate_tree(tmp_path_factory.mktemp("whole") / "tree", stars=1, layout=request.param, visits=2, seed=4)
    return next(path for path in tree.rglob("*.fits") if not path.is_symlink())


def headers_of(path: Path) -> list[tuple[int, int]]:
    """Where each header of a file begins and ends."""
    with fitsio.FITS(str(path)) as file:
        offsets = [hdu.get_offsets() for hdu in file]
    return [(place["header_start"], place["data_start"]) for place in offsets]


CARDS = [
    "END", "END     x", "BZERO   =                  1.0", "BSCALE  =                  2.0", "BLANK   =  3",
    "NAXIS1  =                 8575", "NAXIS2  =                    3", "NAXIS2  =                   -1",
    "NAXIS2  =  1000000000000000000", "NAXIS2  =                    0", "NAXIS   =                    3",
    "BITPIX  =                  -32", "BITPIX  =                  -64", "BITPIX  =                   16",
    "XTENSION= 'IMAGE   '", "XTENSION= 'BINTABLE'", "EXTNAME = 'FLUX    '", "EXTNAME = 'FLUX", "EXTNAME =  5",
    "EXTVER  = 'x'", "PCOUNT  =                   80", "GCOUNT  =                    2", "ZIMAGE  = T",
    "TFORM1  = '1D      '", "TFORM2  = '9999PD  '", "TFORM3  = 'Q'", "TFIELDS =                    2",
    "NAXIS   =  1000000000000000000", "TFIELDS =  1000000000000000000", "PCOUNT  =  1000000000000000000",
    "TDIM1   = '(2,3)   '", "TZERO2  = 5", "TNULL2  = 'a'", "TTYPE2  = 7", "CONTINUE  'abc'", "HIERARCH a b = 2",
    "SIMPLE  =                    F", "EXTEND  =                    F", "GROUPS  =                    T",
    "SFILE1  = 'apVisit-dr17-5215-55823-165.fits'", "SNR     = 'NaN'", "COMMENT abc", "",
]  # fmt: skip


@settings(max_examples=150, deadline=None, derandomize=True)
@given(draw=st.data())
def test_cards_put_into_headers(whole: Path, tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    content = bytearray(whole.read_bytes())
    for _ in range(draw.draw(st.integers(1, 2))):
        start, end = draw.draw(st.sampled_from(headers_of(whole)))
        place = start + 80 * draw.draw(st.integers(0, min((end - start) // 80 - 1, 20)))
        content[place : place + 80] = draw.draw(st.sampled_from(CARDS)).ljust(80).encode()
    path = tmp_path_factory.getbasetemp() / NAME
    path.write_bytes(content)
    assert_same(path)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(draw=st.data())
def test_bytes_changed_in_headers(whole: Path, tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    content = bytearray(whole.read_bytes())
    start, end = draw.draw(st.sampled_from(headers_of(whole)))
    for _ in range(draw.draw(st.integers(1, 3))):
        content[draw.draw(st.integers(start, min(end, start + 1200) - 1))] = draw.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / NAME
    path.write_bytes(content)
    assert_same(path)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(draw=st.data())
def test_lengths_changed(whole: Path, tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    content = whole.read_bytes()
    edge = draw.draw(st.sampled_from([place for pair in headers_of(whole) for place in pair] + [len(content)]))
    length = max(0, edge + draw.draw(st.sampled_from([-2880, -81, -80, -1, 0, 1, 9, 80, 2880])))
    tail = draw.draw(st.sampled_from([b"", b"XTENSION", b"XTENSION= 'IMAGE   '", b"x" * 100, bytes(2880)]))
    path = tmp_path_factory.getbasetemp() / NAME
    path.write_bytes(content[:length] + tail)
    assert_same(path)


def test_blocks_put_in_and_taken_out(whole: Path, tmp_path: Path) -> None:
    content = whole.read_bytes()
    for start, end in headers_of(whole):
        for changed in (content[:start] + content[start + 2880 :], content[:end] + bytes(2880) + content[end:]):
            (tmp_path / NAME).write_bytes(changed)
            assert_same(tmp_path / NAME)


def test_comparison_notices_a_reader_that_trusts_the_length(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / NAME).write_bytes(whole.read_bytes()[:-1])
    monkeypatch.setattr(direct, "_later_hdus", lambda *arguments: (10, b"", 0))
    with pytest.raises(AssertionError):
        assert_same(tmp_path / NAME)


def test_comparison_notices_a_wrong_row(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = direct._cast_float64, direct._cast_float32
    for name, cast in zip(("_cast_float64", "_cast_float32"), right, strict=True):
        monkeypatch.setattr(direct, name, lambda raw, rows, out, cast=cast: cast(raw, np.maximum(rows - 1, 0), out))
    with pytest.raises(AssertionError):
        assert_same(whole)


def test_a_file_cut_while_it_is_read(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / NAME
    path.write_bytes(whole.read_bytes())
    fill = direct.fill

    def cut_first(descriptor: int, buffer: np.ndarray, offset: int) -> bool:
        os.truncate(path, offset + 1000)
        return fill(descriptor, buffer, offset)

    monkeypatch.setattr(direct, "fill", cut_first)
    assert {record.reason for record in read_apstar(str(path)).records} == {"being_written"}
