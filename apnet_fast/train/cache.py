"""Keep a training set's spectra in one memory-mapped file, so that an epoch reads no FITS.

Flux and error of one spectrum take 68.6 kB on disk. The operating system keeps in memory what fits, and the process
holds one batch at a time, so a training set may be larger than the memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from apnet_fast.inputs.changed_files import state_of
from apnet_fast.inputs.label_tables import LabelTable
from apnet_fast.inputs.words import Inputs
from apnet_fast.readers.pool import Readers
from apnet_fast.recipes.flux import FluxRange, median_flux
from apnet_fast.recipes.labels import LABELS
from apnet_fast.recipes.photometry import PHOTOMETRY
from apnet_fast.spectra import Product
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import written_whole
from apnet_fast.support.grid import PIXELS
from apnet_fast.support.progress import say
from apnet_fast.support.regular_files import check_regular

_SPECTRA_FILE = "spectra.f32"
_INDEX_FILE = "spectra.parquet"
CACHE_FILES = (_SPECTRA_FILE, _INDEX_FILE)
_FINGERPRINT = b"made_from"
# Spectra whose median flux is taken, for the range that weights were trained on.
_MOST_MEDIANS = 10_000


@dataclass(frozen=True)
class SpectrumCache:
    """n labelled spectra.

    spectra: float32 (n, 2, 8575), flux and error as read, memory-mapped. ids: n identities. stars: n names of stars.
    labels: float64 (n, 3), teff [K], logg, fe_h, NaN if unknown. photometry: float32 (n, 7), as in
    `recipes.photometry`. snr: float64 (n), per pixel. simulated: whether the files of all spectra are marked so.
    """

    spectra: NDArray[np.float32]
    ids: Sequence[str]
    stars: Sequence[str]
    labels: NDArray[np.float64]
    photometry: NDArray[np.float32]
    snr: NDArray[np.float64]
    simulated: bool = False

    def __len__(self) -> int:
        return len(self.ids)


def content_of(inputs: Inputs, products: Sequence[Product], labels: LabelTable, columns: Mapping[str, str]) -> str:
    """Hash all that decides a cache's content: files (names, sizes, times; packs by their checksum) and labels."""
    content = [inputs.digest, list(map(state_of, inputs.files)), list(products), labels.sha256, sorted(columns.items())]
    return hashlib.sha256(json.dumps(content).encode("utf-8", "surrogateescape")).hexdigest()


def flux_range(cache: SpectrumCache) -> FluxRange | None:
    """Return the least and the greatest median flux above 0 of the cached spectra, of an even sample if there are many.

    None if there is none.
    """
    step = max(1, len(cache.spectra) // _MOST_MEDIANS)
    medians = [float(median_flux(cache.spectra[row : row + 1, 0])[0]) for row in range(0, len(cache.spectra), step)]
    known = [median for median in medians if median > 0]
    return (min(known), max(known)) if known else None


def open_or_fill(
    folder: Path, files: Sequence[str], products: Sequence[Product], labels: LabelTable, made_from: str, readers: int
) -> SpectrumCache:
    """Open the cache in `folder`; if it is not there, fill it from the files first.

    made_from: `content_of` the training set; a cache of another set is filled again.
    Raises UsageError if no spectrum has a label.
    """
    found = _opened(folder, made_from)
    if found is None:
        _fill(folder, files, products, labels, made_from, readers)
        found = _open(folder)
    return found


def is_cache(folder: Path) -> bool:
    """Return whether the index of a cache of this package is in a folder, whatever it was made from."""
    schema = _schema(folder)
    return schema is not None and _FINGERPRINT in (schema.metadata or {})


def _schema(folder: Path) -> pa.Schema | None:
    try:
        check_regular(folder / _INDEX_FILE)
        return pq.read_schema(folder / _INDEX_FILE)
    except (OSError, pa.ArrowException):
        return None


def _opened(folder: Path, made_from: str) -> SpectrumCache | None:
    """Return the cache if it is whole and made from this, else None."""
    schema = _schema(folder)
    # Caches of earlier versions do not record what is simulated.
    if schema is None or (schema.metadata or {}).get(_FINGERPRINT) != made_from.encode():
        return None
    if "simulated" not in schema.names:
        return None
    try:
        check_regular(folder / _SPECTRA_FILE)
        return _open(folder)
    except (OSError, ValueError, KeyError, pa.ArrowException):  # damaged, or killed between the two files
        return None


def _open(folder: Path) -> SpectrumCache:
    index = pq.read_table(folder / _INDEX_FILE)
    shape = (len(index), 2, PIXELS)
    size = (folder / _SPECTRA_FILE).stat().st_size
    if size != np.prod(shape, dtype=np.int64) * np.dtype(np.float32).itemsize:
        raise ValueError(f"{size} bytes for {len(index)} spectra")
    return SpectrumCache(
        spectra=np.memmap(folder / _SPECTRA_FILE, dtype=np.float32, mode="r", shape=shape),
        ids=index["identity"].to_pylist(),
        stars=index["star"].to_pylist(),
        labels=np.stack([index[name].to_numpy() for name in LABELS], axis=1),
        photometry=np.stack([index[name].to_numpy() for name in PHOTOMETRY], axis=1),
        snr=index["snr"].to_numpy(),
        simulated=all(index["simulated"].to_pylist()),
    )


def _fill(
    folder: Path, files: Sequence[str], products: Sequence[Product], labels: LabelTable, made_from: str, readers: int
) -> None:
    say(f"reading {len(files)} files into {folder / _SPECTRA_FILE}")
    schema = pa.schema(
        [("identity", pa.string()), ("star", pa.string()), ("snr", pa.float64()), ("simulated", pa.bool_())]
        + [(name, pa.float64()) for name in LABELS]
        + [(name, pa.float32()) for name in PHOTOMETRY],
        metadata={_FINGERPRINT: made_from},
    )
    columns: dict[str, list] = {name: [] for name in schema.names}
    unusable = unlabelled = 0
    path = folder / _SPECTRA_FILE
    with written_whole(path) as partial:
        with partial.open("wb") as file, Readers(readers, products) as reading:
            for batch in reading.read(files):
                for row, record in enumerate(batch.records):
                    label_row = labels.row_of(record.path, record.star.obj)
                    if record.reason is not None:
                        unusable += 1
                    elif label_row is None or np.isnan(labels.values[label_row]).all():
                        unlabelled += 1
                    else:
                        file.write(np.stack([batch.flux[row], batch.error[row]]).astype("<f4", copy=False).tobytes())
                        columns["identity"].append(record.identity)
                        columns["star"].append(record.star.obj or record.identity)
                        columns["snr"].append(record.snr)
                        columns["simulated"].append(record.simulated)
                        for names, values in ((LABELS, labels.values), (PHOTOMETRY, labels.photometry)):
                            for name, value in zip(names, values[label_row], strict=True):
                                columns[name].append(float(value))
        if not columns["identity"]:
            raise UsageError(
                "no spectrum has a label",
                got=f"{unlabelled} usable spectra without, {unusable} unusable",
                expected="spectra whose star (obj) or path is in the label table",
                remedy="check that the table belongs to these spectra; if its column has another name:"
                " --column obj=NAME",
            )
        # The index, which proves whose folder it is, is there at any moment. New, it never meets old spectra.
        path.unlink(missing_ok=True)
        with written_whole(folder / _INDEX_FILE) as index:
            pq.write_table(pa.table(columns, schema=schema), index)
    say(f"{len(columns['identity'])} labelled spectra; left out: {unlabelled} without label, {unusable} unusable")
