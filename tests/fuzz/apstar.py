"""Mutations of apStar files, seeded: what the disks, the tools and the writers of the world may do to one.

A mutation says whether it can change flux or error without a trace (bytes of the pixels themselves). Every other one
must be refused, or must leave flux and error of every row as they were.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import fitsio
import numpy as np

from apnet_fast.spectra.apstar import read_apstar
from apnet_fast.spectra.batch import SpectrumBatch
from apnet_fast.support.grid import PIXELS
from tests.fuzz.odd_forms import FORMS, VALUES, odd

BLOCK, CARD = 2880, 80

# Cards that are put into the place of another: legal, illegal, hostile.
CARDS = (
    "END", "END     x", "BZERO   =                  1.0", "BSCALE  =                  2.0", "BLANK   =  3",
    "NAXIS1  =                 8575", "NAXIS1  =                 8574", "NAXIS2  =                    3",
    "NAXIS2  =                   -1", "NAXIS2  =                    0", "NAXIS2  =  1000000000000000000",
    "NAXIS2  =           2147483648", "NAXIS   =                    1", "NAXIS   =                    3",
    "NAXIS   =  1000000000000000000", "BITPIX  =                  -32", "BITPIX  =                  -64",
    "BITPIX  =                   16", "XTENSION= 'IMAGE   '", "XTENSION= 'BINTABLE'", "XTENSION= 'TABLE   '",
    "EXTNAME = 'FLUX    '", "EXTNAME = 'ERROR   '", "EXTNAME = 'SKY FLUX'", "EXTNAME = 'FLUX", "EXTNAME =  5",
    "BUNIT   = 'Flux (10^-17 erg/s/cm^2/Ang)'", "BUNIT   = 'Err (10^-17 erg/s/cm^2/Ang)'", "BUNIT   = 'Telluric'",
    "BUNIT   = ''", "EXTVER  = 'x'", "PCOUNT  =                    1", "PCOUNT  =                   80",
    "PCOUNT  =                   -1", "PCOUNT  =  1000000000000000000", "GCOUNT  =                    2",
    "GCOUNT  =                    0", "ZIMAGE  =                    T", "ZPCOUNT =                    0",
    "ZBITPIX =                  -32", "TFORM1  = '1D      '", "TFORM2  = '9999PD  '", "TFORM3  = 'Q'",
    "TFIELDS =                    2", "TFIELDS =  1000000000000000000", "TDIM1   = '(2,3)   '", "TZERO2  =   5",
    "TNULL2  = 'a'", "TTYPE2  =  7", "TTYPE3  = 'filename'", "CONTINUE  'abc'", "HIERARCH a b = 2",
    "SIMPLE  =                    F", "SIMPLE  =                    T", "EXTEND  =                    F",
    "GROUPS  =                    T", "INHERIT =                    T", "THEAP   =                    1",
    "SFILE1  = 'apVisit-dr17-5215-55823-165.fits'", "SNR     = 'NaN     '", "SNRVIS1 =                  0.0",
    "NVISITS =                   17", "NVISITS =                   -3", "RA      = 'x'", "STARFLAG= -1",
    "VHELIO1 =              99999.0", "SIMULATD=                    T", "COMMENT abc", "HISTORY abc", "", "\x01\x02",
)  # fmt: skip


@dataclass(frozen=True)
class Hdu:
    """Where an HDU begins, where its data begin, and where it ends."""

    start: int
    data: int
    end: int


@dataclass(frozen=True)
class Mutant:
    """A changed file. what: the mutations, in words. silent: whether pixels may have changed without a trace."""

    content: bytes
    what: tuple[str, ...] = field(default=())
    silent: bool = False


def hdus_of(content: bytes) -> list[Hdu]:
    """Find the HDUs of a whole, plain file, by its own headers."""
    hdus, start = [], 0
    while start < len(content):
        end = start
        cards: dict[str, str] = {}
        while True:
            card = content[end : end + CARD].decode("ascii")
            end += CARD
            if card.startswith("END "):
                break
            if card[8:10] == "= ":
                cards[card[:8].strip()] = card[10:].partition("/")[0].strip()
        data = -(-end // BLOCK) * BLOCK
        axes = [int(cards[f"NAXIS{i + 1}"]) for i in range(int(cards["NAXIS"]))]
        size = abs(int(cards["BITPIX"])) // 8 * int(np.prod(axes)) if axes else 0
        stop = data + -(-size // BLOCK) * BLOCK
        hdus.append(Hdu(start, data, stop))
        start = stop
    return hdus


_known_hdus = lru_cache(maxsize=16)(hdus_of)


def mutants(originals: list[bytes], seed: int, names: Collection[str] = ()) -> Iterator[Mutant]:
    """Yield mutants of the originals for ever: one to three mutations each, every kind, or those named, in turn."""
    rng = np.random.default_rng(seed)
    kinds = [(name, kind) for name, kind in KINDS.items() if not names or name in names]
    number = 0
    while True:
        original = originals[number % len(originals)]
        changed, hdus, what, silent = bytearray(original), list(_known_hdus(original)), [], False
        times = 1 if rng.random() < 0.75 else int(rng.integers(2, 4))
        for each in range(times):
            name, mutate = (
                kinds[(number // len(originals)) % len(kinds)] if each == 0 else kinds[rng.integers(len(kinds))]
            )
            words, is_silent, moves = mutate(changed, hdus, rng)
            what.append(f"{name}: {words}")
            silent |= is_silent
            if moves:
                break
        yield Mutant(bytes(changed), tuple(what), silent)
        number += 1


# What a mutation returns: what it did, whether pixels may have changed silently, whether HDUs have moved.
_Done = tuple[str, bool, bool]


def _card(content: bytearray, hdus: list[Hdu], rng: np.random.Generator) -> _Done:
    """Put one card in the place of another, near the beginning of a header."""
    number = int(rng.integers(min(len(hdus), 11)) if rng.random() < 0.5 else rng.integers(1, 3))
    hdu, card = hdus[number], CARDS[rng.integers(len(CARDS))]
    place = int(rng.integers(min((hdu.data - hdu.start) // CARD - 1, 24)))
    start = hdu.start + place * CARD
    content[start : start + CARD] = card.ljust(CARD).encode("ascii")
    return f"HDU {number}, card {place}: {card}", False, False


def _same_card(content: bytearray, hdus: list[Hdu], rng: np.random.Generator) -> _Done:
    """Put a card in the place of that of the same keyword, in HDU 1, 2 or both."""
    card = CARDS[rng.integers(len(CARDS))]
    numbers = [1, 2] if rng.random() < 0.3 else [int(rng.integers(1, 3))]
    for number in numbers:
        hdu = hdus[number]
        at = content.find(card[:8].encode(), hdu.start, hdu.data) if card.strip() else -1
        if at >= 0 and (at - hdu.start) % CARD == 0:
            content[at : at + CARD] = card.ljust(CARD).encode("ascii")
    return f"HDUs {numbers}: {card}", False, False


def _insert(content: bytearray, hdus: list[Hdu], rng: np.random.Generator) -> _Done:
    """Insert a card into a header, where blanks behind END make room for it."""
    number, card = int(rng.integers(len(hdus))), CARDS[rng.integers(len(CARDS))]
    hdu = hdus[number]
    if content[hdu.data - CARD : hdu.data].strip():
        return "no room", False, False
    start = hdu.start + CARD * int(rng.integers(1, 12))
    header = content[start : hdu.data - CARD]
    content[start : hdu.data] = card.ljust(CARD).encode("ascii") + header
    return f"HDU {number}: {card}", False, False


def _odd_form(content: bytearray, hdus: list[Hdu], rng: np.random.Generator) -> _Done:
    """Put a card of an odd form before END, or in the place of that of the same keyword."""
    key, value = VALUES[rng.integers(len(VALUES))]
    number = int(rng.choice([0, 1, 1, 2, 2, rng.integers(len(hdus))]))
    hdu, text = hdus[number], odd(FORMS[rng.integers(len(FORMS))], key, value)
    card = text.ljust(CARD)[:CARD].encode("ascii")
    end, at = content.find(b"END".ljust(CARD), hdu.start), content.find(f"{key:<8}=".encode(), hdu.start, hdu.data)
    if rng.random() < 0.2 and at >= 0:
        content[at : at + CARD] = card
    elif end + CARD < hdu.data:
        at = end if rng.random() < 0.5 else hdu.start + 8 * CARD
        content[at : end + 2 * CARD] = card + content[at : end + CARD]
    return f"HDU {number}: {text!r}", False, False


def _lost_end(content: bytearray, hdus: list[Hdu], rng: np.random.Generator) -> _Done:
    """Lose the END card of a header: another header stands behind it, or values that are no text."""
    number = len(hdus) - 1 if rng.random() < 0.5 else int(rng.integers(len(hdus)))
    hdu = hdus[number]
    at = content.find(b"END".ljust(CARD), hdu.start)
    stop = at + CARD if rng.random() < 0.5 else hdu.data
    content[at:stop] = b" " * (stop - at)
    if number == len(hdus) - 1:
        content[hdu.data :] = rng.bytes(BLOCK * int(rng.integers(1, 5)))
    return f"END of HDU {number}", number in (1, 2) and number == len(hdus) - 1, number == len(hdus) - 1


def _header_byte(content: bytearray, hdus: list[Hdu], rng: np.random.Generator) -> _Done:
    number = int(rng.integers(len(hdus)))
    hdu = hdus[number]
    at = int(rng.integers(hdu.start, min(hdu.data, hdu.start + 1200)))
    content[at] = rng.integers(256)
    return f"HDU {number}, byte {at - hdu.start}", False, False


def _header_bit(content: bytearray, hdus: list[Hdu], rng: np.random.Generator) -> _Done:
    number = int(rng.integers(len(hdus)))
    hdu = hdus[number]
    at = int(rng.integers(hdu.start, hdu.data))
    content[at] ^= 1 << int(rng.integers(8))
    return f"HDU {number}, byte {at - hdu.start}", False, False


def _data_bits(content: bytearray, hdus: list[Hdu], rng: np.random.Generator) -> _Done:
    number = int(rng.integers(1, len(hdus)))
    hdu = hdus[number]
    if hdu.end == hdu.data:
        return "no data", False, False
    for _ in range(int(rng.integers(1, 20))):
        content[int(rng.integers(hdu.data, hdu.end))] ^= 1 << int(rng.integers(8))
    return f"bits of HDU {number}", number in (1, 2), False


def _zeros(content: bytearray, hdus: list[Hdu], rng: np.random.Generator) -> _Done:
    """Lose a page of the disk: zeros stand for it."""
    start = int(rng.integers(len(content) // 4096 + 1)) * 4096
    stop = min(start + 4096, len(content))
    content[start:stop] = bytes(stop - start)
    in_pixels = any(start < hdu.end and stop > hdu.data for hdu in hdus[1:3])
    return f"bytes {start} to {stop}", in_pixels, False


def _cut(content: bytearray, hdus: list[Hdu], rng: np.random.Generator) -> _Done:
    edges = [place for hdu in hdus for place in (hdu.start, hdu.data, hdu.end)]
    length = int(rng.choice(edges)) + int(rng.choice([-2880, -81, -80, -1, 0, 0, 1, 9, 80, 2880]))
    if rng.random() < 0.4:
        length = int(rng.integers(len(content)))
    del content[max(length, 0) :]
    return f"to {len(content)} bytes", False, True


def _tail(content: bytearray, hdus: list[Hdu], rng: np.random.Generator) -> _Done:
    tails = (b"XTENSION", b"XTENSION= 'IMAGE   '", b"x" * 100, bytes(2880), b" " * 2880, b"\xff" * 5000)
    tail = tails[rng.integers(len(tails))]
    content += tail
    return f"{len(tail)} bytes behind the end", False, True


def _order(content: bytearray, hdus: list[Hdu], rng: np.random.Generator) -> _Done:
    """Move, exchange, repeat or remove HDUs."""
    parts = [bytes(content[hdu.start : hdu.end]) for hdu in hdus]
    first, second = (int(number) for number in rng.choice(np.arange(1, len(parts)), 2, replace=False))
    if rng.random() < 0.5:
        first, second = [(1, 2), (1, 4), (2, 5), (1, 5), (2, 4), (2, 3)][rng.integers(6) if len(parts) > 5 else 0]
    what = ("exchanged", "repeated", "removed", "moved")[rng.integers(4)]
    if what == "exchanged":
        parts[first], parts[second] = parts[second], parts[first]
    elif what == "repeated":
        parts.insert(second, parts[first])
    elif what == "removed":
        del parts[first]
    else:
        parts.insert(second, parts.pop(first))
    content[:] = b"".join(parts)
    return f"HDU {first} {what} ({second})", False, True


def _exchanged_data(content: bytearray, hdus: list[Hdu], rng: np.random.Generator) -> _Done:
    """Exchange flux and error with their headers' labels: what is called flux is flux, but in HDU 2."""
    flux, error = hdus[1], hdus[2]
    parts = [bytes(content[hdu.start : hdu.end]) for hdu in (error, flux)]
    content[flux.start : error.end] = b"".join(parts)
    return "flux and error exchanged", False, True


def _blocks(content: bytearray, hdus: list[Hdu], rng: np.random.Generator) -> _Done:
    hdu = hdus[int(rng.integers(len(hdus)))]
    at = int(rng.choice([hdu.start, hdu.data, hdu.end]))
    if rng.random() < 0.5:
        del content[at : at + BLOCK]
        return f"a block removed at {at}", False, True
    content[at:at] = bytes(BLOCK) if rng.random() < 0.5 else b" " * BLOCK
    return f"a block inserted at {at}", False, True


def _foreign(content: bytearray, hdus: list[Hdu], rng: np.random.Generator) -> _Done:
    """Replace the beginning by something that is not FITS."""
    starts = (
        b"<!DOCTYPE html><html>",
        b"\x1f\x8b\x08\x00",
        b"PK\x03\x04",
        b"",
        b"version https://git-lfs.github.com/spec/v1\n",
    )
    start = starts[rng.integers(len(starts))]
    content[:] = start + bytes(content[len(start) : int(rng.integers(10, 5000))])
    return repr(start[:20]), False, True


KINDS: dict[str, Callable[[bytearray, list[Hdu], np.random.Generator], _Done]] = {
    "card": _card,
    "same card": _same_card,
    "inserted card": _insert,
    "odd form": _odd_form,
    "lost END": _lost_end,
    "header byte": _header_byte,
    "header bit": _header_bit,
    "data bits": _data_bits,
    "lost page": _zeros,
    "cut": _cut,
    "tail": _tail,
    "order of HDUs": _order,
    "flux and error": _exchanged_data,
    "blocks": _blocks,
    "foreign": _foreign,
}


def originals() -> list[bytes]:
    """Return small, plain apStar files: every layout and dtype, one visit or two, HDUs with their names."""
    files = []
    for dtype, shape, named, tables in (
        ("f4", (PIXELS,), False, 2),
        ("f8", (2, PIXELS), False, 3),
        ("f8", (1, PIXELS), True, 2),
        ("f4", (4, PIXELS), False, 2),
        ("f8", (4, PIXELS), True, 2),
    ):
        files.append(_original(dtype, shape, named=named, tables=tables))
    # Cut down to flux and error, as people keep them.
    files += [b"".join(part for part in _parts(files[number])[:3]) for number in (0, 4)]
    return files


def _parts(content: bytes) -> list[bytes]:
    return [content[hdu.start : hdu.end] for hdu in hdus_of(content)]


def _original(dtype: str, shape: tuple[int, ...], *, named: bool, tables: int) -> bytes:
    n_rows = shape[0] if len(shape) == 2 else 1
    n_visits = n_rows - 2 if n_rows > 2 else 1
    # No value twice, so that any shift shows.
    values = np.random.default_rng(n_rows).permutation(2 * n_rows * PIXELS).reshape(2, *shape).astype(dtype) + 1
    cards = {"OBJID": "2M19245882+4714573", "NVISITS": n_visits, "SNR": 90.0, "RA": 291.2, "DEC": 47.2, "STARFLAG": 4}
    rows = np.zeros(n_visits, [("filename", "S72"), ("snr", "f8"), ("vhelio", "f8"), ("x_ccf", "f8", (15,))])
    for visit in range(1, n_visits + 1):
        name = f"apVisit-dr17-5215-5582{visit}-165.fits"
        cards |= {f"SFILE{visit}": name, f"SNRVIS{visit}": 50.0 + visit, f"FLAG{visit}": visit, f"VHELIO{visit}": 10.0}
        rows[visit - 1] = name, 70.0 + visit, 10.0, np.arange(15)
    unit = "(10^-17 erg/s/cm^2/Ang)"
    names = [f"Flux {unit}", f"Err {unit}", "Pixel bitmask", f"Sky {unit}", f"Sky error {unit}", "Telluric"]
    names.append("Telluric error")
    extensions = ["FLUX", "ERROR", "MASK", "SKY FLUX", "SKY ERROR", "TELLURIC", "TELLURIC ERROR"]
    filler = np.arange(60, dtype=dtype).reshape(2, 30)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.fits")
        with fitsio.FITS(path, "rw") as file:
            file.write(None, header=cards)
            for number, (bunit, extname) in enumerate(zip(names, extensions, strict=True)):
                image = values[number] if number < 2 else filler
                file.write(image, header={"BUNIT": bunit}, extname=extname if named else None)
            file.write(filler, extname="LSF TABLE" if named else None)
            for _ in range(tables - 1):
                file.write(rows, extname="RV TABLE" if named else None)
        with open(path, "rb") as written:
            return written.read()


class Trial:
    """Read mutants in both ways, in a folder, and judge what comes of it.

    `fault` tells what is wrong with the readers, "" if nothing. `counts`: mutants by what became of them.
    """

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, "apStar-dr17-2M19245882+4714573.fits")
        self.originals = originals()
        self.counts: Counter[str] = Counter()
        self._sound = os.path.join(folder, "apStar-dr17-2M00000000+0000000.fits")
        with open(self._sound, "wb") as file:
            file.write(self.originals[0])
        self._rows: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def run(self, number: int, seed: int, *, names: Collection[str] = (), most_faults: int = 100) -> list[str]:
        """Try `number` mutants (names: of these kinds), or fewer if `most_faults` are found, and return the faults."""
        faults = []
        stream = mutants(self.originals, seed, names)
        for index in range(number):
            mutant = next(stream)
            if fault := self.fault(mutant, self.originals[index % len(self.originals)]):
                faults.append(f"mutant {index} of seed {seed}: {fault}; {'; '.join(mutant.what)}")
            if len(faults) == most_faults:
                break
        return faults

    def fault(self, mutant: Mutant, original: bytes) -> str:
        """Read one mutant of an original."""
        with open(self.path, "wb") as file:
            file.write(mutant.content)
        began = time.monotonic()
        both = [read_apstar(self.path, direct=direct) for direct in (True, False)]
        if time.monotonic() - began > 10:
            return "it took more than 10 s"
        fast, slow = both
        if repr(fast.records) != repr(slow.records):
            return f"two verdicts: {_reasons(fast)} and, by the library, {_reasons(slow)}"
        if any(getattr(fast, name).tobytes() != getattr(slow, name).tobytes() for name in ("flux", "error")):
            return "two readings of the pixels"
        self.counts[_reasons(fast)] += 1
        if not mutant.silent and not self._is_right(fast, original):
            return "accepted with other flux or error than the file had"
        behind = read_apstar(self._sound, direct=False)
        if not (behind.usable.all() and self._is_right(behind, self.originals[0])):
            return f"a sound file behind it: {_reasons(behind)}"
        return ""

    def _is_right(self, batch: SpectrumBatch, original: bytes) -> bool:
        """Return whether every row that was read is a row of the original."""
        if original not in self._rows:
            parts = hdus_of(original)
            images = []
            for hdu in parts[1:3]:
                kind = ">f8" if b"BITPIX  =                  -64" in original[hdu.start : hdu.data] else ">f4"
                values = np.frombuffer(original[hdu.data : hdu.end], kind)
                images.append(values[: len(values) // PIXELS * PIXELS].reshape(-1, PIXELS).astype(np.float32))
            self._rows[original] = images[0], images[1]
        flux, error = self._rows[original]
        return all(
            record.row < 0
            or (
                record.row < len(flux)
                and np.array_equal(batch.flux[i], flux[record.row])
                and np.array_equal(batch.error[i], error[record.row])
            )
            for i, record in enumerate(batch.records)
        )


def _reasons(batch: SpectrumBatch) -> str:
    return ", ".join(sorted({str(record.reason or "read") for record in batch.records}))
