"""Files of a pack: the same records and the same bits come back, and damage becomes rows."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from apnet_fast.spectra.batch import SpectrumBatch, SpectrumRecord
from apnet_fast.spectra.failures import Reason
from apnet_fast.spectra.identity import StarIdentity, VisitName
from apnet_fast.spectra.measured import Measured
from apnet_fast.spectra.pack import (
    MANIFEST,
    MOST_SPECTRA,
    Manifest,
    PackedFile,
    files_of_manifest,
    is_manifest_of_a_pack,
    is_pack,
    load_manifest,
    read_pack,
    write_pack_file,
)
from apnet_fast.support.errors import UsageError
from apnet_fast.support.grid import PIXELS

NAME = "000000.arrow"
MEASURED = Measured(
    spectrum_flags=2**40 + 3, v_rad=-12.5, n_components=None, date_obs="2013-04-14T11:31:42", jd=2456396.99
)


def some_spectra() -> SpectrumBatch:
    """Six spectra of all sorts: NaN, infinities and odd names among them."""
    rng = np.random.default_rng(4)
    flux, error = rng.normal(size=(2, 6, PIXELS)).astype(np.float32)
    flux[0, :3], error[1, :2] = [np.nan, np.inf, -0.0], [1e10, 0]
    # Another NaN than numpy's: the bits count.
    flux[2, 7:8].view("u4")[:] = 0x7FC01234
    star = StarIdentity("dr17", "dr17", "apo25m", "K01_082+17", -1, "ap", "2M19085185+5058401", "59866")
    visit = VisitName("apVisit-dr17-5215-55823-164.fits", "ap", "dr17", "apo25m", "5215", 55823, 164, "")
    coadd = SpectrumRecord("star", "dir/\udcff\u00e9.fits", 0, star, VisitName(), 90.5, 287.2, float("nan"), 3)
    records = [
        coadd,
        *(replace(coadd, product="visit", row=row, visit=visit) for row in (2, 3, 4)),
        replace(coadd, row=-1, reason=Reason.TRUNCATED, text="cut \udcfe", hdu=4, sdss_id=2**40, spectrum_pk=7),
        replace(coadd, product="visit", n_visits=-1, path="b.fits", measured=MEASURED, simulated=True, is_twin=True),
    ]
    return SpectrumBatch(flux, error, records)


@pytest.fixture
def packed(tmp_path: Path) -> tuple[str, SpectrumBatch]:
    """A pack of one file: its path, and what was packed."""
    batch = some_spectra()
    Manifest("1 files", 1, {NAME: write_pack_file(tmp_path / NAME, batch)}, 6).write(tmp_path)
    return str(tmp_path / NAME), batch


def assert_same(got: SpectrumBatch, expected: SpectrumBatch) -> None:
    assert repr(got.records) == repr(list(expected.records))  # NaN equals NaN in words
    for mine, theirs in ((got.flux, expected.flux), (got.error, expected.error)):
        assert mine.dtype == np.float32
        np.testing.assert_array_equal(mine.view("u4"), np.ascontiguousarray(theirs).view("u4"))


def test_every_bit_and_field_comes_back(packed: tuple[str, SpectrumBatch]) -> None:
    path, batch = packed
    assert_same(read_pack(path), batch)
    changed = replace(batch, flux=batch.flux + np.float32(0))  # -0 becomes 0
    with pytest.raises(AssertionError):
        assert_same(read_pack(path), changed)


def test_spectra_are_views_of_the_mapped_file(packed: tuple[str, SpectrumBatch]) -> None:
    before = pa.total_allocated_bytes()
    batch = read_pack(packed[0])
    assert pa.total_allocated_bytes() - before < batch.flux.nbytes
    assert not batch.flux.flags.writeable
    assert not batch.flux.flags.owndata


@pytest.mark.parametrize("product", ["star", "visit"])
def test_only_the_products_wanted(product: str, packed: tuple[str, SpectrumBatch]) -> None:
    path, batch = packed
    chosen = [i for i, record in enumerate(batch.records) if record.product == product]
    expected = SpectrumBatch(batch.flux[chosen], batch.error[chosen], [batch.records[i] for i in chosen])
    assert_same(read_pack(path, (product,)), expected)


def test_any_arrow_program_can_read_it(packed: tuple[str, SpectrumBatch]) -> None:
    path, batch = packed
    table = pa.ipc.open_file(path).read_all()
    assert table["star.obj"][0].as_py() == b"2M19085185+5058401"
    assert table.schema.field("flux").type == pa.list_(pa.float32(), PIXELS)
    np.testing.assert_array_equal(table["flux"][3].as_py(), batch.flux[3])


def test_damage_gives_as_many_rows_as_the_manifest_knows(packed: tuple[str, SpectrumBatch]) -> None:
    path, _ = packed
    whole = Path(path).read_bytes()
    one_bit = bytearray(whole)
    one_bit[len(whole) // 2] ^= 1
    for content, reason in [
        (whole[:-100], Reason.TRUNCATED),
        (b"", Reason.TRUNCATED),
        (bytes(one_bit), Reason.UNREADABLE),
        (whole + b"more", Reason.UNREADABLE),
        (None, Reason.MISSING_FILE),
    ]:
        Path(path).unlink()
        if content is not None:
            Path(path).write_bytes(content)
        else:
            assert not Path(path).exists()
        batch = read_pack(path)
        assert [record.product for record in batch.records] == ["star"] * 2 + ["visit"] * 4
        assert {(record.reason, record.row, record.path) for record in batch.records} == {(reason, -1, path)}
        assert all(record.text for record in batch.records)
        assert np.isnan(batch.flux).all()
        assert len(read_pack(path, ("star",))) == 2
        Path(path).write_bytes(whole)
    assert read_pack(path).usable.sum() == 5


def test_a_file_of_something_else_that_the_manifest_vouches_for(tmp_path: Path) -> None:
    batch = some_spectra()
    honest = write_pack_file(tmp_path / NAME, batch)
    with pa.ipc.new_file(str(tmp_path / NAME), pa.schema([("x", pa.int8())])) as writer:
        writer.write_batch(pa.record_batch({"x": pa.array([1], pa.int8())}))
    content = (tmp_path / NAME).read_bytes()
    lying = replace(honest, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    Manifest("1 files", 0, {NAME: lying}, 6).write(tmp_path)
    assert {record.reason for record in read_pack(str(tmp_path / NAME)).records} == {Reason.BAD_LAYOUT}


def test_without_its_manifest_a_file_has_a_row_of_each_product(packed: tuple[str, SpectrumBatch]) -> None:
    path, _ = packed
    (Path(path).parent / MANIFEST).unlink()
    assert [record.product for record in read_pack(path).records] == ["star", "visit"]
    assert {record.reason for record in read_pack(path).records} == {Reason.UNREADABLE}


def test_manifests_that_cannot_be_read_are_refused(packed: tuple[str, SpectrumBatch]) -> None:
    folder = Path(packed[0]).parent
    assert is_pack(str(folder))
    assert not is_pack(str(folder.parent))
    manifest = load_manifest(folder)
    assert (manifest.spectra, manifest.files[NAME].star, manifest.files[NAME].visit) == (6, 2, 4)
    stored = json.loads((folder / MANIFEST).read_text())
    for content in ("{", "[]", json.dumps(stored | {"version": 1}), json.dumps(stored | {"files": {NAME: {}}})):
        (folder / MANIFEST).write_text(content)
        with pytest.raises(UsageError, match="manifest of the pack cannot be read"):
            load_manifest(folder)


def test_a_pack_of_an_older_version_is_refused_by_name_with_the_remedy(packed: tuple[str, SpectrumBatch]) -> None:
    folder = Path(packed[0]).parent
    stored = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(stored | {"version": 2}))
    with pytest.raises(UsageError, match=r"version 2; expected apnet_fast pack, version 3.*pack the spectra again"):
        load_manifest(folder)
    # Its files are known, so that packing with --restart may delete them.
    assert files_of_manifest(folder) == [NAME]
    assert is_manifest_of_a_pack(folder)


FILE = {"sha256": "0" * 64, "bytes": 100, "star": 1, "visit": 1}
HOSTILE: dict[str, object] = {
    "a billion coadds": {"files": {NAME: FILE | {"star": 10**9}}},
    "a negative number": {"files": {NAME: FILE | {"visit": -1}}},
    "a number that is none": {"files": {NAME: FILE | {"bytes": "many"}}},
    "a huge number": {"files": {NAME: FILE | {"bytes": 10**30}}},
    "a fraction": {"files": {NAME: FILE | {"star": 1.5}}},
    "a checksum that is none": {"files": {NAME: FILE | {"sha256": "../x"}}},
    "a folder above": {"files": {"../../etc/passwd.arrow": FILE}},
    "a path from the root": {"files": {"/etc/x.arrow": FILE}},
    "a zero byte": {"files": {"a\0b.arrow": FILE}},
    "a line break": {"files": {"a\nb.arrow": FILE}},
    "a hidden file": {"files": {".x.arrow": FILE}},
    "no suffix": {"files": {"passwd": FILE}},
    "a list of files": {"files": [NAME]},
    "another field": {"surprise": 1},
    "inputs that are not text": {"inputs": {"a": []}},
    "a negative total": {"without_data": -1},
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_hostile_manifests_are_refused(change: dict[str, object], packed: tuple[str, SpectrumBatch]) -> None:
    folder = Path(packed[0]).parent
    stored = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(stored | change))
    with pytest.raises(UsageError, match="manifest of the pack cannot be read"):
        load_manifest(folder)
    assert [record.reason for record in read_pack(packed[0]).records] == [Reason.UNREADABLE] * 2


@pytest.mark.parametrize("content", ["[" * 200_000, '{"format":' * 50_000, '{"files": ' + "9" * 6000 + "}", "\0" * 100])
def test_manifests_that_break_parsers_are_refused(content: str, packed: tuple[str, SpectrumBatch]) -> None:
    folder = Path(packed[0]).parent
    (folder / MANIFEST).write_text(content)
    with pytest.raises(UsageError, match="manifest of the pack cannot be read"):
        load_manifest(folder)
    assert not is_manifest_of_a_pack(folder)
    assert files_of_manifest(folder) == []


def test_many_failed_spectra_take_no_memory(packed: tuple[str, SpectrumBatch]) -> None:
    path = Path(packed[0])
    stored = json.loads((path.parent / MANIFEST).read_text())
    stored["files"][NAME]["star"] = MOST_SPECTRA
    (path.parent / MANIFEST).write_text(json.dumps(stored))
    path.unlink()
    batch = read_pack(str(path), ("star",))
    assert len(batch) == MOST_SPECTRA
    assert batch.flux.base is not None
    assert batch.flux.strides == (0, 0)


def vouched_for(folder: Path, rows: pa.RecordBatch) -> SpectrumBatch:
    """A file of these rows, with a manifest that has its checksum."""
    with pa.ipc.new_file(str(folder / NAME), rows.schema) as writer:
        writer.write_batch(rows)
    content = (folder / NAME).read_bytes()
    file = PackedFile(hashlib.sha256(content).hexdigest(), len(content), 2, 4)
    Manifest("1 files", 0, {NAME: file}, 6).write(folder)
    return read_pack(str(folder / NAME))


def test_files_with_values_that_no_pack_has(packed: tuple[str, SpectrumBatch]) -> None:
    path = Path(packed[0])
    rows = pa.ipc.open_file(path.read_bytes()).get_batch(0)
    assert vouched_for(path.parent, rows).usable.sum() == 5
    for name, values in {
        "row": pa.array([None] * 6, pa.int64()),
        "product": pa.array([b"star"] * 5 + [b"planet"], pa.binary()),
        "reason": pa.array([b"because"] * 6, pa.binary()),
        "flux": pa.array([None] * 6, pa.list_(pa.float32(), PIXELS)),
    }.items():
        place = rows.schema.get_field_index(name)
        changed = rows.set_column(place, rows.schema.field(place).with_nullable(values.null_count > 0), values)
        assert {record.reason for record in vouched_for(path.parent, changed).records} == {Reason.BAD_LAYOUT}, name
