"""Read and write checkpoints as safetensors files, and check what they hold.

A file's metadata: `format`, `network`, `architecture` (JSON), `labels` (JSON, the label scaling), `origin` (words),
`source_sha256` (hash of the file it was made from), `left_out` (JSON, keys of the source that the network does not
have).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from apnet_fast.networks.kinds import NETWORKS, Architecture, NetworkKind, kind_of
from apnet_fast.networks.scaling import LabelScaling
from apnet_fast.support.errors import WeightsError
from apnet_fast.support.files import sha256_of, written_whole

FORMAT = "apnet_fast/1"
_METADATA = ("network", "architecture", "labels", "origin", "source_sha256", "left_out")


@dataclass(frozen=True)
class Checkpoint:
    """Hold the checked weights of one network.

    network: its name in `kinds.NETWORKS`. state: CPU tensors by upstream's state_dict keys. sha256: hash of the file
    that was read ("" if made in memory). origin, source_sha256: words for, and hash of, what it was made from.
    left_out: keys of the source that were dropped.
    """

    network: str
    architecture: Architecture
    scaling: LabelScaling
    state: Mapping[str, Tensor]
    origin: str
    source_sha256: str = ""
    left_out: tuple[str, ...] = ()
    sha256: str = ""

    def module(self, dtype: torch.dtype = torch.float32) -> nn.Module:
        """Return the network with these weights, in eval mode, with parameters in `dtype`, on the CPU."""
        with torch.device("meta"):
            network = NETWORKS[self.network].module(self.architecture)
        network.load_state_dict(dict(self.state), strict=True, assign=True)
        return network.to(dtype).eval().requires_grad_(False)

    def save(self, path: Path) -> None:
        """Write a safetensors file, which appears complete or not at all."""
        metadata = {
            "format": FORMAT,
            "network": self.network,
            "architecture": json.dumps(self.architecture.as_dict()),
            "labels": json.dumps(self.scaling.as_dict()),
            "origin": self.origin,
            "source_sha256": self.source_sha256,
            "left_out": json.dumps(list(self.left_out)),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        # Clone, because safetensors refuses tensors that share memory.
        state = {key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in self.state.items()}
        with written_whole(path) as partial:
            try:
                save_file(state, partial, metadata)
            except SafetensorError as error:
                raise WeightsError(f"cannot write the weights file: {error}", where=str(path)) from error
            _sort_metadata(partial)


def _sort_metadata(path: Path) -> None:
    """Sort the metadata of a safetensors file, so that equal weights make equal files.

    The library writes them in an order that differs from call to call.
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= length:  # same content, reordered; blanks fill the header up to its length
            file.seek(8)
            file.write(text.ljust(length))


def check_state(state: Mapping[str, Tensor], architecture: Architecture, where: str) -> None:
    """Raise WeightsError, naming keys, unless `state` is exactly the network's state_dict, and finite."""
    kind = kind_of(architecture)
    expected = kind.expected_tensors(architecture)
    missing = [key for key in expected if key not in state]
    if missing:
        raise WeightsError(
            f"weights lack the key{'s' if len(missing) > 1 else ''} {_listed(missing)}",
            got=f"{len(state)} tensors",
            expected=f"the {len(expected)} tensors of {kind.title}",
            remedy="use the complete checkpoint, with the --network and the model_args.yaml that belong to it",
            where=where,
        )
    extra = [key for key in state if key not in expected]
    if extra:
        raise WeightsError(
            f"weights hold the unknown key{'s' if len(extra) > 1 else ''} {_listed(extra)}",
            expected=f"only the {len(expected)} tensors of {kind.title}",
            remedy=f"check that this checkpoint belongs to {kind.title} and to this architecture",
            where=where,
        )
    for key, tensor in expected.items():
        value = state[key]
        if value.shape != tensor.shape or value.dtype != tensor.dtype:
            raise WeightsError(
                f"wrong shape or type of {key}",
                got=f"{tuple(value.shape)} {value.dtype}",
                expected=f"{tuple(tensor.shape)} {tensor.dtype}",
                remedy="check the architecture (model_args.yaml) that belongs to this checkpoint",
                where=where,
            )
        # aminmax passes NaN on; isfinite on the whole tensor would copy the largest layer, 270 MB.
        if value.numel() and not torch.isfinite(torch.stack(torch.aminmax(value))).all():
            raise WeightsError(f"{key} holds values that are not finite", remedy="get a sound copy", where=where)
        if key.endswith("running_var") and (value < 0).any():
            raise WeightsError(f"{key} holds negative variances", remedy="get a sound copy", where=where)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read and check a safetensors file that `Checkpoint.save` wrote.

    Raises WeightsError if it is missing, is no safetensors file, has another format, or fails `check_state`.
    """
    with _opened(path) as (file, metadata):
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    kind = _kind(metadata, path)
    missing = [key for key in _METADATA if key not in metadata]
    if missing:
        raise WeightsError(f"the metadata lack {_listed(missing)}", expected=_listed(list(_METADATA)), where=str(path))
    try:
        values = {key: json.loads(metadata[key]) for key in ("architecture", "labels", "left_out")}
    except json.JSONDecodeError as error:
        raise WeightsError(f"the metadata are no JSON: {error}", remedy="get a sound copy", where=str(path)) from error
    architecture = kind.architecture_from(values["architecture"], str(path))
    check_state(state, architecture, str(path))
    return Checkpoint(
        network=kind.name,
        architecture=architecture,
        scaling=_scaling(values["labels"], kind, str(path)),
        state=state,
        origin=metadata["origin"],
        source_sha256=metadata["source_sha256"],
        left_out=tuple(values["left_out"]),
        sha256=sha256_of(path),
    )


def network_of(path: Path) -> str:
    """Return the network of a weights file ("v3", "v2", "v1") from its metadata alone; raises WeightsError."""
    with _opened(path) as (_, metadata):
        return _kind(metadata, path).name


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Mapping[str, str]]]:
    """Open a weights file of this format; give it and its metadata."""
    if not path.is_file():
        raise WeightsError(
            "no such weights file",
            got=str(path),
            expected="a .safetensors file",
            remedy="`python -m apnet_fast.weights import` or `... random` makes one",
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise WeightsError(
                    "not a weights file of this package",
                    got=f"format {metadata.get('format')!r}",
                    expected=repr(FORMAT),
                    remedy="convert the upstream checkpoint with `python -m apnet_fast.weights import`",
                    where=str(path),
                )
            yield file, metadata
    except SafetensorError as error:
        raise WeightsError(
            f"cannot read weights: {error}",
            expected="a .safetensors file",
            remedy="convert the upstream checkpoint with `python -m apnet_fast.weights import`",
            where=str(path),
        ) from error


def _kind(metadata: Mapping[str, str], path: Path) -> NetworkKind:
    network = metadata.get("network", "")
    if network not in NETWORKS:
        raise WeightsError("unknown network", got=repr(network), expected=" | ".join(NETWORKS), where=str(path))
    return NETWORKS[network]


def _scaling(labels: object, kind: NetworkKind, where: str) -> LabelScaling:
    """Return a file's label scaling, which must name the network's labels in their order."""
    expected = {"names": list(kind.scaling.names), "mean": "3 finite numbers", "std": "3 positive numbers"}
    if isinstance(labels, dict) and labels.keys() == expected.keys() and labels["names"] == expected["names"]:
        numbers = [*labels["mean"], *labels["std"]]
        sound = len(labels["mean"]) == len(labels["std"]) == 3 and all(
            isinstance(number, int | float) and math.isfinite(number) for number in numbers
        )
        if sound and min(labels["std"]) > 0:
            return LabelScaling(**{key: tuple(value) for key, value in labels.items()})
    raise WeightsError(f"the label scaling is not that of {kind.title}", got=labels, expected=expected, where=where)


def _listed(keys: list[str], most: int = 6) -> str:
    shown = ", ".join(keys[:most])
    return shown if len(keys) <= most else f"{shown} and {len(keys) - most} more"
