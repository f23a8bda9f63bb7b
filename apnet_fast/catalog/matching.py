"""Find the summary-table row that describes a spectrum.

Both are compared by the parts of their names, the most specific parts first. Nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apnet_fast.catalog.text import fixed_width
from apnet_fast.spectra.batch import Product, SpectrumRecord
from apnet_fast.spectra.identity import printable


def _with_kind(*tiers: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Put before each tier the one that tells commissioning data from others."""
    return tuple(name for tier in tiers for name in ((*tier, "commissioning"), tier))


# The parts in which two names of the same star, or of the same visit, agree. `place` is the field, or the HEALPix if
# the release has no fields.
_STAR_TIERS: tuple[tuple[str, ...], ...] = (
    ("identity",),
    ("telescope", "place", "star_file"),
    ("star_file",),
    *_with_kind(
        ("release", "telescope", "place", "obj"),
        ("telescope", "place", "obj"),
        ("telescope", "obj"),
        ("obj",),
        ("telescope", "sdss_id"),
        ("sdss_id",),
    ),
)
_VISIT_TIERS: tuple[tuple[str, ...], ...] = (
    ("identity",),
    ("file",),
    *_with_kind(
        ("release", "telescope", "plate", "mjd", "fiber", "obj"),
        ("telescope", "plate", "mjd", "fiber", "obj"),
        ("telescope", "mjd", "obj"),
    ),
)
_DECISIVE = (("identity",), ("file",))
_SEPARATOR = "/"
_EPOCH = re.compile(r"-[56]\d{4}(?=$|\.fits$)")
_NOT_OF_THE_NAME = r"^.*/|\.[gf]z$"
# Behind the object, names of SDSS-V may have the version of the star (STARVER), which links leave out.
_VERSIONED = r"^((?:ap|as)Star-[^-]+-(?:apo25m|lco25m|apo1m)-.+)-\d{5}\.fits$"


@dataclass(frozen=True)
class RowMatches:
    """Rows of a table for n spectra: int64 (n,), -1 if there is none.

    spectrum: the row of this very spectrum. source: a row of its star, which `spectrum` is too. ambiguous: bool (n,),
    several rows could be its star and nothing distinguishes them.
    """

    spectrum: NDArray[np.int64]
    source: NDArray[np.int64]
    ambiguous: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.source)

    def take(self, chosen: NDArray | slice) -> RowMatches:
        """Select spectra by a bool mask (n,), by indices or by a slice."""
        return RowMatches(self.spectrum[chosen], self.source[chosen], self.ambiguous[chosen])

    @staticmethod
    def concatenate(parts: Sequence[RowMatches]) -> RowMatches:
        """Join the matches of several batches, at least one, in order."""
        return RowMatches(
            np.concatenate([part.spectrum for part in parts]),
            np.concatenate([part.source for part in parts]),
            np.concatenate([part.ambiguous for part in parts]),
        )


class Matcher:
    """Finds spectra in a table of stars or of visits; indexes are built when first needed.

    Parameters
    ----------
    product: what a row of the table is.
    parts: text arrays (rows,) of those parts of a name that the table has: release, telescope, place, obj, sdss_id,
        star_file (the apStar file, without STARVER), kind (apStar; apStarC for commissioning), commissioning ("yes" or
        "no"), identity (of the spectrum), file (the apVisit file), plate, mjd, fiber; "" if a row does not know its
        part.
    identity: int64 (rows,), equal for two rows that are surely the same star; -1 for a row that is the same star as
        the others of its name, if those are one.
    """

    def __init__(self, product: Product, parts: dict[str, pa.Array], identity: NDArray[np.int64]) -> None:
        self._product = product
        self._parts = parts
        self._identity = identity
        self._tiers = {
            tier: _Tier(tier, parts, identity) for tier in (*_STAR_TIERS, *_VISIT_TIERS) if set(tier) <= set(parts)
        }

    def match(self, records: Sequence[SpectrumRecord]) -> RowMatches:
        """Find the rows of spectra, which may mix products."""
        found = _no_matches(len(records))
        products: tuple[Product, ...] = ("star", "visit")
        for product in products:
            chosen = np.flatnonzero([record.product == product for record in records])
            if len(chosen):
                part = self._match(product, [records[i] for i in chosen.tolist()])
                found.spectrum[chosen], found.source[chosen] = part.spectrum, part.source
                found.ambiguous[chosen] = part.ambiguous
        return found

    def _match(self, product: Product, records: Sequence[SpectrumRecord]) -> RowMatches:
        """Find the rows of spectra of one product."""
        of_files = name_parts(pa.array([printable(record.path) for record in records], pa.string()))
        names = zip(*(of_files[part].to_pylist() for part in ("star_file", "kind")), strict=True)
        known = [
            _parts_of(record) | {"star_file": star_file, "kind": kind}
            for record, (star_file, kind) in zip(records, names, strict=True)
        ]
        found = self._match_names(product, known)
        # Files of single epochs have the MJD behind the name of the star: their row is that of the star at best.
        unmatched = ((i, _without_epoch(known[i])) for i in np.flatnonzero(found.source < 0))
        of_stars = {i: parts for i, parts in unmatched if parts != known[i]}
        if of_stars:
            epochs, part = list(of_stars), self._match_names(product, list(of_stars.values()))
            found.source[epochs], found.ambiguous[epochs] = part.source, found.ambiguous[epochs] | part.ambiguous
        found.ambiguous[found.source >= 0] = False
        return found

    def _match_names(self, product: Product, known: Sequence[dict[str, str]]) -> RowMatches:
        found = _no_matches(len(known))
        tiers = _STAR_TIERS
        if product == "visit" and self._product == "visit":
            tiers = (*_VISIT_TIERS, *_STAR_TIERS)
        pending = np.arange(len(known))
        for name in tiers:
            tier = self._tiers.get(name)
            if tier is None or not len(pending):
                continue
            wanted = [_SEPARATOR.join(values) if all(values) else "" for values in _chosen(known, pending, name)]
            if not any(wanted):
                continue
            rows, count, one_star = tier.index.find(wanted)
            unsure = (count > 1) & ~one_star
            found.ambiguous[pending[unsure]] = True
            found.source[pending] = np.where((count > 0) & ~unsure, rows, -1)
            if product == self._product and (name in _VISIT_TIERS or product == "star"):
                one = np.flatnonzero(count == 1)
                exact = one[self._agree(known, pending[one], rows[one], name)]
                found.spectrum[pending[exact]] = rows[exact]
            pending = pending[found.source[pending] < 0]
        return found

    def _agree(
        self,
        known: Sequence[dict[str, str]],
        pending: NDArray[np.int64],
        rows: NDArray[np.int64],
        name: tuple[str, ...],
    ) -> NDArray[np.bool_]:
        """Return which records and rows differ in no part that both know; the same file or identity settles it."""
        same = np.ones(len(pending), bool)
        if name in _DECISIVE or not len(pending):
            return same
        # A file named by the sdss_id, or by the reduction's name of a 1-m star, has another obj in the table.
        unlike = {"identity", "file", "star_file", "sdss_id", *name}
        if {"sdss_id", "star_file"} & set(name):
            unlike.add("obj")
        for part in set(self._parts) - unlike:
            of_rows = self._parts[part].take(pa.array(np.maximum(rows, 0))).to_pylist()
            of_records = [known[i][part] for i in pending]
            same &= np.array([not (a and b and a != b) for a, b in zip(of_rows, of_records, strict=True)], bool)
        if self._product == "star":
            # A row that says nothing of it is that of the star's apStar file.
            same &= self._are_commissioning(rows) | np.array([known[i]["commissioning"] == "no" for i in pending], bool)
        return same

    def _are_commissioning(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        if "commissioning" not in self._parts:
            return np.zeros(len(rows), bool)
        of_rows = self._parts["commissioning"].take(pa.array(np.maximum(rows, 0)))
        return pc.equal(of_rows, "yes").to_numpy(zero_copy_only=False)


class _Tier:
    """The index of the rows of a table by some parts of their names."""

    def __init__(self, name: tuple[str, ...], parts: dict[str, pa.Array], identity: NDArray[np.int64]) -> None:
        self._name, self._parts, self._identity = name, parts, identity

    @cached_property
    def index(self) -> KeyIndex:
        columns = [self._parts[part] for part in self._name]
        key = columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, _SEPARATOR)
        for column in columns:
            key = pc.if_else(pc.equal(column, ""), "", key)
        return KeyIndex(key, self._identity)


class KeyIndex:
    """An index of rows by a text key; a row whose key is "" is never found.

    keys: text (rows,). identity: int64 (rows,), see `Matcher`.
    """

    def __init__(self, keys: pa.Array, identity: NDArray[np.int64]) -> None:
        fixed = fixed_width(keys, pc.max(pc.binary_length(keys)).as_py() or 0)
        order = np.argsort(fixed, kind="stable")
        self._keys, self._rows = fixed[order], order
        stars = _of_their_kind(self._keys, identity[order])
        self._changes = np.cumsum(np.diff(stars, prepend=stars[:1]) != 0)

    def find(self, keys: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Return for each key: the first row that has it (-1: none), their number, whether they are one star."""
        width = self._keys.dtype.itemsize
        encoded = [key.encode() for key in keys]
        # A key longer than all keys of the table would be cut to the width of theirs, and found.
        wanted = np.array([key if len(key) <= width else b"" for key in encoded], self._keys.dtype)
        first = np.searchsorted(self._keys, wanted, "left")
        last = np.searchsorted(self._keys, wanted, "right")
        count = np.where(wanted == b"", 0, last - first)
        if not len(self._rows):
            return _nowhere(len(keys)), count, count > 0
        at = np.minimum(first, len(self._rows) - 1)
        one_star = self._changes[np.maximum(last, 1) - 1] == self._changes[at]
        return np.where(count > 0, self._rows[at], -1), count, one_star


def _of_their_kind(keys: NDArray, identity: NDArray[np.int64]) -> NDArray[np.int64]:
    """Replace -1 in the identities of sorted keys by the last known one of the same key, or else by the next."""
    for step in (1, -1):
        k, stars = keys[::step], identity[::step]
        number = np.arange(len(k))
        starts = np.maximum.accumulate(np.where(np.append(True, k[1:] != k[:-1])[: len(k)], number, 0))
        last_known = np.maximum.accumulate(np.where(stars != -1, number, -1))
        identity = np.where((stars == -1) & (last_known >= starts), stars[last_known], stars)[::step]
    return identity


def _parts_of(record: SpectrumRecord) -> dict[str, str]:
    """Return the parts of a spectrum's name that `Matcher` compares; "" if it does not know one."""
    star, visit = record.star, record.visit
    return {
        "release": star.release,
        "telescope": star.telescope,
        "place": star.field or (str(star.healpix) if star.healpix >= 0 else ""),
        "obj": star.obj,
        "commissioning": "yes" if star.commissioning else "no",
        "identity": record.identity,
        # Files of Astra are named by this number.
        "sdss_id": star.obj if star.obj.isdigit() else "",
        "file": PurePosixPath(visit.file).name,
        "plate": visit.plate,
        "mjd": str(visit.mjd) if visit.mjd >= 0 else "",
        "fiber": str(visit.fiber) if visit.fiber >= 0 else "",
    }


def _without_epoch(known: dict[str, str]) -> dict[str, str]:
    return known | {part: _EPOCH.sub("", known[part]) for part in ("obj", "star_file")}


def name_parts(files: pa.Array) -> dict[str, pa.Array]:
    """Return the parts of names that apStar files have by themselves: star_file and kind; "" for other files."""
    names = pc.replace_substring_regex(files, _NOT_OF_THE_NAME, "")
    kind = pc.struct_field(pc.extract_regex(names, r"^(?P<kind>(?:ap|as)StarC?)-.*\.fits$"), "kind").fill_null("")
    plain = pc.replace_substring_regex(names, _VERSIONED, r"\1.fits")
    return {"star_file": pc.if_else(pc.equal(kind, ""), "", plain), "kind": kind}


def _chosen(known: Sequence[dict[str, str]], pending: NDArray[np.int64], name: tuple[str, ...]) -> list[list[str]]:
    return [[known[i][part] for part in name] for i in pending]


def _nowhere(n: int) -> NDArray[np.int64]:
    return np.full(n, -1, np.int64)


def _no_matches(n: int) -> RowMatches:
    return RowMatches(_nowhere(n), _nowhere(n), np.zeros(n, bool))
