"""Checkpoints as safetensors: what a weights file holds, and the checks it must pass.

Metadata of a file: `format`, `network`, `architecture` (JSON), `labels` (JSON, the label
scaling), `origin` (words), `source_sha256` (of what it was made from), `left_out` (JSON,
keys of the source that the network does not have).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from apnet_fast.errors import WeightsError
from apnet_fast.networks.scaling import LabelScaling
from apnet_fast.networks.v3 import ApogeeNetV3, ArchitectureV3

FORMAT = "apnet_fast/1"


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one network, checked.

    state: upstream's state_dict keys to CPU tensors. sha256: of the file it was read from ("" if made in
    memory). origin and source_sha256 say what it was made from; left_out names keys that were dropped.
    """

    network: str
    architecture: ArchitectureV3
    scaling: LabelScaling
    state: Mapping[str, Tensor]
    origin: str
    source_sha256: str = ""
    left_out: tuple[str, ...] = ()
    sha256: str = ""

    def module(self, dtype: torch.dtype = torch.float32) -> ApogeeNetV3:
        """The network with these weights, in eval mode, parameters in `dtype`, on the CPU."""
        with torch.device("meta"):
            network = ApogeeNetV3(self.architecture)
        network.load_state_dict(dict(self.state), strict=True, assign=True)
        return network.to(dtype).eval().requires_grad_(False)

    def save(self, path: Path) -> None:
        """Write as safetensors; the file appears complete or not at all."""
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
        partial = path.with_name(path.name + ".partial")
        save_file({key: value.contiguous() for key, value in self.state.items()}, partial, metadata)
        os.replace(partial, path)


def expected_tensors(architecture: ArchitectureV3) -> dict[str, Tensor]:
    """Keys, shapes and dtypes (meta tensors) of the state_dict of a network."""
    with torch.device("meta"):
        return ApogeeNetV3(architecture).state_dict()


def check_state(state: Mapping[str, Tensor], architecture: ArchitectureV3, where: str) -> None:
    """Raise WeightsError, naming keys, unless `state` is exactly the state_dict of the network, and finite."""
    expected = expected_tensors(architecture)
    missing = [key for key in expected if key not in state]
    if missing:
        raise WeightsError(
            f"weights lack the key{'s' if len(missing) > 1 else ''} {_listed(missing)}",
            got=f"{len(state)} tensors",
            expected=f"the {len(expected)} tensors of ApogeeNet v3",
            remedy="use the complete checkpoint, with the model_args.yaml that belongs to it",
            where=where,
        )
    extra = [key for key in state if key not in expected]
    if extra:
        raise WeightsError(
            f"weights hold the unknown key{'s' if len(extra) > 1 else ''} {_listed(extra)}",
            expected=f"only the {len(expected)} tensors of ApogeeNet v3",
            remedy="check that this checkpoint is of ApogeeNet v3 and of this architecture",
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
        if not torch.isfinite(value).all():
            raise WeightsError(f"{key} holds values that are not finite", remedy="get a sound copy", where=where)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read and check a safetensors file written by `Checkpoint.save`.

    Raises WeightsError if it is missing, is no safetensors file, is not of this format, or fails `check_state`.
    """
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
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except SafetensorError as error:
        raise WeightsError(
            f"cannot read weights: {error}",
            expected="a .safetensors file",
            remedy="convert the upstream checkpoint with `python -m apnet_fast.weights import`",
            where=str(path),
        ) from error
    network = metadata["network"]
    if network != "v3":
        raise WeightsError("unknown network", got=repr(network), expected="'v3'", where=str(path))
    architecture = architecture_from_args(json.loads(metadata["architecture"]), str(path))
    check_state(state, architecture, str(path))
    labels = json.loads(metadata["labels"])
    return Checkpoint(
        network=network,
        architecture=architecture,
        scaling=LabelScaling(**{key: tuple(value) for key, value in labels.items()}),
        state=state,
        origin=metadata["origin"],
        source_sha256=metadata["source_sha256"],
        left_out=tuple(json.loads(metadata["left_out"])),
        sha256=sha256_of(path),
    )


def architecture_from_args(args: Mapping[str, object], where: str) -> ArchitectureV3:
    """ArchitectureV3 from the values of a model_args.yaml; WeightsError names what v3 cannot be."""
    values = dict(args)
    for key, required in (("in_channels", 1), ("pos_enc", True), ("num_targets", 3)):
        got = values.get(key, required)
        if got != required:
            raise WeightsError(f"not an ApogeeNet v3 architecture: {key}", got=got, expected=required, where=where)
    values.pop("in_channels", None)
    values.pop("pos_enc", None)
    unknown = sorted(set(values) - set(ArchitectureV3.__dataclass_fields__))
    if unknown:
        raise WeightsError(
            f"unknown architecture argument {_listed(unknown)}",
            expected=", ".join(ArchitectureV3.__dataclass_fields__),
            where=where,
        )
    if "dim_mults" in values:
        values["dim_mults"] = tuple(values["dim_mults"])  # type: ignore[arg-type]
    return ArchitectureV3(**values)  # type: ignore[arg-type]


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _listed(keys: list[str], most: int = 6) -> str:
    shown = ", ".join(keys[:most])
    return shown if len(keys) <= most else f"{shown} and {len(keys) - most} more"
