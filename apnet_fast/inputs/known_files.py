"""Keep what tables know of the files they name, for files that cannot be read."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import pyarrow as pa

from apnet_fast.spectra.batch import SpectrumRecord


@dataclass(frozen=True)
class KnownFile:
    """Parts of a star's identity, as a row of a table has them; "" and -1 if it does not."""

    release: str = ""
    apred: str = ""
    telescope: str = ""
    prefix: str = ""
    obj: str = ""
    field: str = ""
    healpix: int = -1
    sdss_id: int = -1


class KnownFiles:
    """What tables know of files, by path.

    files: sorted paths. columns: for each field of `KnownFile` one array, in the order of the files. They stay Arrow
    arrays, with dictionaries for text that repeats, because there are millions.
    """

    def __init__(self, files: tuple[str, ...] = (), columns: Mapping[str, pa.Array] | None = None) -> None:
        self._files = files
        self._columns = {} if columns is None else {name: _compact(values) for name, values in columns.items()}

    def get(self, path: str) -> KnownFile | None:
        """Return what is known of a file; None if no table names it."""
        place = bisect_left(self._files, path)
        if place == len(self._files) or self._files[place] != path:
            return None
        return KnownFile(**{name: values[place].as_py() for name, values in self._columns.items()})

    def part(self, files: Sequence[str]) -> KnownFiles:
        """Return what is known of some files, sorted by path: a view, and small to send to another process."""
        if not self._files or not files:
            return KnownFiles()
        first, last = bisect_left(self._files, files[0]), bisect_right(self._files, files[-1])
        part = KnownFiles()
        part._files = self._files[first:last]
        part._columns = {name: values.slice(first, last - first) for name, values in self._columns.items()}
        return part

    def __len__(self) -> int:
        return len(self._files)

    def __getstate__(self) -> dict[str, object]:
        # An array that is a view takes all it is a view of with it.
        whole = {name: _plain(values).take(pa.array(range(len(values)))) for name, values in self._columns.items()}
        return {"_files": self._files, "_columns": whole}

    @staticmethod
    def joined(parts: Sequence[KnownFiles]) -> KnownFiles:
        """Join what several tables know; of a file that two of them name, the first counts."""
        parts = [part for part in parts if part._files]
        if len(parts) < 2:
            return parts[0] if parts else KnownFiles()
        places: dict[str, int] = {}
        for place, path in enumerate(path for part in parts for path in part._files):
            places.setdefault(path, place)
        files = tuple(sorted(places))
        taken = pa.array([places[path] for path in files], pa.int64())
        columns = {
            field.name: pa.concat_arrays([_plain(part._columns[field.name]) for part in parts]).take(taken)
            for field in fields(KnownFile)
        }
        return KnownFiles(files, columns)


def completed(records: Sequence[SpectrumRecord], known: KnownFiles) -> Sequence[SpectrumRecord]:
    """Complete the records of files that could not be read by what is known of them; others pass unchanged."""
    if not len(known) or all(record.row >= 0 for record in records):
        return records
    return [record if record.row >= 0 else _completed(record, known.get(record.path)) for record in records]


def _completed(record: SpectrumRecord, known: KnownFile | None) -> SpectrumRecord:
    """Fill in field and telescope from the table, because the file's name does not give them."""
    if known is None:
        return record
    star = record.star
    star = replace(
        star,
        release=star.release or known.release,
        apred=star.apred or known.apred,
        telescope=known.telescope or star.telescope,
        prefix=star.prefix or known.prefix,
        obj=known.obj or star.obj,
        field=star.field or known.field,
        healpix=star.healpix if star.healpix >= 0 else known.healpix,
    )
    return replace(record, star=star, sdss_id=record.sdss_id if record.sdss_id >= 0 else known.sdss_id)


def _compact(values: pa.Array) -> pa.Array:
    """Return text with a dictionary, if values repeat much."""
    if not pa.types.is_string(values.type):
        return values
    encoded = values.dictionary_encode()
    return encoded if 10 * len(encoded.dictionary) < len(values) else values


def _plain(values: pa.Array) -> pa.Array:
    return values.cast(pa.string()) if pa.types.is_dictionary(values.type) else values
