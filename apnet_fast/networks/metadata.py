"""Read the header of a weights file, and check it whole before anything of the file is loaded.

A header is written by whoever made the file, so nothing in it is trusted: duplicate keys, numbers without end, nests
without end, values of another type, sizes beyond the file and keys that nobody knows are refused by name. Files of the
format before, without a checksum, may have other keys, which are ignored. No torch here.
"""

from __future__ import annotations

import codecs
import json
import math
import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from apnet_fast.recipes.flux import FLUX_UNIT
from apnet_fast.recipes.versions import VERSIONS, NetworkVersion
from apnet_fast.support.errors import WeightsError

FORMAT = "apnet_fast/2"
"""Files whose checksum covers all of their metadata. It differs from the format before in more than one bit."""
_EARLIER = "apnet_fast/1"
_REQUIRED = ("network", "architecture", "labels", "origin", "source_sha256", "left_out")
_REQUIRED_NOW = (*_REQUIRED, "flux_unit", "content_sha256")
# Keys whose text is JSON; the text of the others is the value.
_JSON = ("architecture", "labels", "left_out", "flux_range")

# A header of the published networks has 6 to 8 kB.
_LONGEST_HEADER = 4 << 20
_LENGTH_BYTES = 8
_PROBED = 64
# torch.save writes a zip file, and wrote pickles before.
_MAGIC_OF_TORCH = (b"PK\x03\x04", b"\x80\x02")
_LFS_POINTER = b"version https://git-lfs"
_IMPORT = "`python -m apnet_fast.weights import"
# Digits of 2**63: no size or setting needs more.
_MOST_DIGITS = 19
_METADATA = "__metadata__"

Kind = TypeVar("Kind")
Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 48)]
Words = Annotated[str, msgspec.Meta(max_length=10_000)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Three = msgspec.Meta(min_length=3, max_length=3)


class TensorLayout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Type ("F32", "I64", ...), shape, and first and last byte (within the data) of a tensor."""

    dtype: Words
    shape: Annotated[list[Size], msgspec.Meta(max_length=8)]
    data_offsets: tuple[Size, Size]


class LabelValues(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The label scaling of a file."""

    names: Annotated[list[Words], Three]
    mean: Annotated[list[float], Three]
    std: Annotated[list[float], Three]


class WeightsMetadata(msgspec.Struct, frozen=True):
    """Hold what a weights file records about itself.

    network: "v3", "v2" or "v1". architecture: sizes, checked by `NetworkKind.architecture_from`. labels: the label
    scaling. origin, source_sha256: words for, and hash of, what it was made from. left_out: keys of the source that the
    network does not have. content_sha256: hash of the content (`networks.checksum`); None in files of earlier versions.
    flux_unit: unit of the flux that the network knows. flux_range: least and greatest median flux of
    the spectra it was trained on, in that unit. trained_on: "simulated" for weights that mean nothing on real spectra.
    """

    network: Words
    architecture: dict[str, Any]
    labels: LabelValues
    origin: Words
    source_sha256: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z")]
    left_out: Annotated[list[Words], msgspec.Meta(max_length=10_000)]
    content_sha256: Sha256 | None = None
    flux_unit: Words = FLUX_UNIT
    flux_range: tuple[float, float] | None = None
    trained_on: Words = ""

    @property
    def version(self) -> NetworkVersion:
        """Return the network's version."""
        return VERSIONS[self.network]


@dataclass(frozen=True)
class WeightsHeader:
    """Hold a checked header.

    metadata, texts: the metadata, and as the file has them. tensors: layout of every tensor by its key. beginning: the
    bytes that said so.
    """

    metadata: WeightsMetadata
    texts: Mapping[str, str]
    tensors: Mapping[str, TensorLayout]
    beginning: bytes

    @property
    def is_of_this_version(self) -> bool:
        """Return whether the file's checksum covers its metadata."""
        return self.texts["format"] == FORMAT


def read_header(path: Path) -> WeightsHeader:
    """Read and check the header of a weights file; its tensors are not touched.

    Raises WeightsError, naming what is wrong, if the file is missing, is not a safetensors file, has another format, or
    if its header is not what `Checkpoint.save` writes.
    """
    values, beginning = _header_of(path)
    texts = values.pop(_METADATA, {})
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise WeightsError("the metadata are not a mapping of keys to text", got=reprlib.repr(texts), where=str(path))
    if texts.get("format") not in (FORMAT, _EARLIER):
        raise WeightsError(
            "not a weights file of this package",
            got=f"format {reprlib.repr(texts.get('format'))}",
            expected=repr(FORMAT),
            remedy=f"convert the upstream checkpoint with {_IMPORT}`",
            where=str(path),
        )
    metadata = _metadata_of(texts, str(path))
    tensors = {key: _converted(value, TensorLayout, f"the layout of {key}", str(path)) for key, value in values.items()}
    return WeightsHeader(metadata, texts, tensors, beginning)


def _header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the header of a safetensors file, which must fit into the file and describe all of it, and its bytes."""
    if path.is_dir():
        raise WeightsError(
            "no such weights file: this is a folder",
            got=str(path),
            expected="a .safetensors file",
            remedy=f"{_IMPORT} {path} --network v3 --output W.safetensors`, if it is the folder of a checkpoint",
        )
    if not path.is_file():
        raise WeightsError(
            "no such weights file",
            got=str(path),
            expected="a .safetensors file",
            remedy=f"{_IMPORT}` or `... random` makes one",
        )
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        _check_beginning(file.read(_PROBED), path)
        file.seek(0)
        beginning = file.read(_LENGTH_BYTES)
        length = int.from_bytes(beginning, "little")
        if size < _LENGTH_BYTES or length > size - _LENGTH_BYTES:
            raise _unreadable(path, f"a header of {length} bytes in a file of {size}")
        if length > _LONGEST_HEADER:
            raise _unreadable(path, f"a header of {length} bytes, where {_LONGEST_HEADER} are more than enough")
        text = file.read(length)
    values = strict_json(text, "the header", str(path))
    if not isinstance(values, dict):
        raise _unreadable(path, f"its header is a {type(values).__name__}")
    end = max((_end_of(value) for key, value in values.items() if key != _METADATA), default=0)
    if end != size - _LENGTH_BYTES - length:
        raise _unreadable(path, f"{size - _LENGTH_BYTES - length} bytes of tensors where the header declares {end}")
    return values, beginning + text


def _check_beginning(beginning: bytes, path: Path) -> None:
    """Raise WeightsError for files that are often taken for weights: checkpoints of torch, and text."""
    if beginning.startswith(_MAGIC_OF_TORCH):
        raise WeightsError(
            "cannot read weights: this is a checkpoint of torch",
            got="a file that begins as torch.save writes them",
            expected="a .safetensors file",
            remedy=f"{_IMPORT} {path} --network v3|v2|v1 --output W.safetensors`",
            where=str(path),
        )
    if beginning.startswith(_LFS_POINTER):
        raise WeightsError(
            "cannot read weights: Git LFS keeps them elsewhere",
            got="a pointer file",
            expected="a .safetensors file",
            remedy="`git lfs pull` in its repository fetches the file itself",
            where=str(path),
        )
    text = _as_text(beginning)
    if text is not None:
        raise WeightsError(
            "cannot read weights: this is text",
            got=f"a file that begins {text.strip().partition(chr(10))[0]!r}",
            expected="a .safetensors file",
            remedy=f"give the weights themselves; {_IMPORT}` makes them from an upstream checkpoint",
            where=str(path),
        )


def _as_text(beginning: bytes) -> str | None:
    """Return the beginning of a file as text; None if it is none. The length of a header, 8 bytes, has zeros."""
    if not beginning or any(byte < ord(" ") and chr(byte) not in "\t\n\r\f" for byte in beginning):
        return None
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return None


def _end_of(layout: object) -> int:
    """Return where a tensor ends, by a layout that has not been checked yet; 0 if it does not say."""
    offsets = layout.get("data_offsets") if isinstance(layout, dict) else None
    return max((offset for offset in offsets if type(offset) is int), default=0) if isinstance(offsets, list) else 0


def _unreadable(path: Path, why: str) -> WeightsError:
    return WeightsError(
        f"cannot read weights: {why}",
        expected="a .safetensors file",
        remedy=f"get a sound copy, or convert the upstream checkpoint with {_IMPORT}`",
        where=str(path),
    )


def _metadata_of(texts: Mapping[str, str], where: str) -> WeightsMetadata:
    required = _REQUIRED_NOW if texts["format"] == FORMAT else _REQUIRED
    missing = [key for key in required if key not in texts]
    if missing:
        raise WeightsError(
            f"the metadata lack {', '.join(missing)}",
            expected=", ".join(required),
            remedy="get a sound copy",
            where=where,
        )
    unknown = sorted(texts.keys() - {*WeightsMetadata.__struct_fields__, "format"})
    if unknown and ("content_sha256" in texts or texts["format"] == FORMAT):
        raise WeightsError(
            f"the metadata hold {_listed(unknown)}, which nobody wrote there",
            expected=", ".join(("format", *WeightsMetadata.__struct_fields__)),
            remedy="get a sound copy",
            where=where,
        )
    known: dict[str, Any] = {key: text for key, text in texts.items() if key in WeightsMetadata.__struct_fields__}
    for key in _JSON:
        if key in known:
            known[key] = strict_json(known[key], f"{key} in the metadata", where)
    if known["network"] not in VERSIONS:
        got = reprlib.repr(known["network"])
        raise WeightsError("unknown network", got=got, expected=" | ".join(VERSIONS), where=where)
    for key in ("labels", "architecture"):
        if not isinstance(known[key], dict):
            raise WeightsError(f"{key} in the metadata is not a mapping", got=reprlib.repr(known[key]), where=where)
    metadata = _converted(known, WeightsMetadata, "the metadata", where)
    if metadata.flux_unit != FLUX_UNIT:
        raise WeightsError(
            "these weights know flux in another unit", got=metadata.flux_unit, expected=FLUX_UNIT, where=where
        )
    limits = metadata.flux_range
    if limits is not None and not (0 < limits[0] <= limits[1] and math.isfinite(limits[1])):
        raise WeightsError(
            "flux_range in the metadata is not a range",
            got=list(limits),
            expected="two positive numbers, the lesser one first",
            where=where,
        )
    return metadata


def _listed(keys: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(reprlib.repr(key) for key in keys[:most])
    return shown if len(keys) <= most else f"{shown} and {len(keys) - most} more"


def _converted(value: object, kind: type[Kind], what: str, where: str) -> Kind:
    try:
        return msgspec.convert(value, kind)
    # Half a surrogate pair, which JSON lets one write, is no text.
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise WeightsError(f"{what} cannot be used: {error}", remedy="get a sound copy", where=where) from error


def strict_json(text: str | bytes, what: str, where: str) -> Any:
    """Return the value of a JSON text; WeightsError for nests or numbers without end, duplicate keys, and no JSON."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
            raise WeightsError(f"{what} holds a key twice", got=reprlib.repr(twice), where=where)
        return values

    def short(digits: str) -> int:
        if len(digits) > _MOST_DIGITS:
            raise WeightsError(
                f"a number in {what} has no end",
                got=f"{len(digits)} digits",
                expected=f"{_MOST_DIGITS} at most",
                where=where,
            )
        return int(digits)

    try:
        return json.loads(text, object_pairs_hook=unique, parse_int=short)
    except RecursionError as error:
        raise WeightsError(f"{what} is nested without end", remedy="get a sound copy", where=where) from error
    except ValueError as error:
        why = reprlib.repr(str(error))
        raise WeightsError(f"{what} is not JSON: {why}", remedy="get a sound copy", where=where) from error
