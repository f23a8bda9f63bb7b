"""The upstream checkpoint form: one torch-saved state_dict, whole or cut into ten chunks.

`model_chunk_0..9` are byte slices of one `model.pt`; the first nine hold floor(size / 10)
bytes each and the last the rest. `model_args.yaml` beside them holds the architecture.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path

import torch
import yaml
from torch import Tensor

from apnet_fast.errors import UsageError, WeightsError
from apnet_fast.networks.checkpoint import (
    Checkpoint,
    architecture_from_args,
    check_state,
    expected_tensors,
)
from apnet_fast.networks.scaling import V3_SCALING
from apnet_fast.networks.v3 import ArchitectureV3

CHUNKS = 10
ARGS_FILE = "model_args.yaml"

# Modules of public prototypes that the released network does not have, and the constant of its position channel.
_LEAVE_OUT = re.compile(r"metadatanet\..*|res_blocks\.\d+\.mlp\..*|pos_enc\.inv_freq")


def import_upstream(path: Path, network: str = "v3") -> Checkpoint:
    """A checked `Checkpoint` from an upstream folder of chunks or a single model.pt.

    Raises WeightsError naming the file, key or argument that is missing, unknown or of a wrong shape.
    """
    if network != "v3":
        raise UsageError("unknown network", got=repr(network), expected="'v3'", remedy="--network v3")
    data, args = _read_bytes(path)
    state = _load_state(data, str(path))
    architecture = ArchitectureV3() if args in ({}, None) else architecture_from_args(args, str(path))
    left_out = tuple(key for key in state if _LEAVE_OUT.fullmatch(key))
    _check_position_constant(state, str(path))
    kept = {key: value for key, value in state.items() if key not in left_out}
    check_state(kept, architecture, str(path))
    return Checkpoint(
        network=network,
        architecture=architecture,
        scaling=V3_SCALING,
        state=kept,
        origin=f"upstream checkpoint {path.name}",
        source_sha256=hashlib.sha256(data).hexdigest(),
        left_out=left_out,
    )


def _load_state(data: bytes, where: str) -> Mapping[str, Tensor]:
    """The state_dict that torch.save wrote, loaded without running anything that its pickle may hold."""
    # A safetensors file begins with the length of its header, 8 bytes, and the header's brace.
    if data[8:9] == b"{":
        raise WeightsError("this is a safetensors file already", remedy="give it to --weights as it is", where=where)
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            "cannot read the checkpoint as a torch state_dict",
            got=f"{len(data)} bytes, {type(error).__name__}",
            expected="a state_dict saved by torch.save, tensors only",
            remedy="compare sizes and checksums of the chunks with their source",
            where=where,
        ) from error
    if not isinstance(state, Mapping):
        raise WeightsError(
            "the checkpoint is no state_dict", got=type(state).__name__, expected="names and tensors", where=where
        )
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor) or value.layout is not torch.strided:
            kind = value.layout if isinstance(value, Tensor) else type(value).__name__
            raise WeightsError(
                f"the checkpoint is no plain state_dict: {key!r} is {kind}",
                expected="names and dense tensors",
                remedy="save model.state_dict() alone (not a training checkpoint around it)",
                where=where,
            )
    if state and all(key.startswith("module.") for key in state):
        raise WeightsError(
            "every key begins with 'module.'",
            expected="the keys of the network itself",
            remedy="save model.module.state_dict(): this one is of a DataParallel wrapper",
            where=where,
        )
    return state


def export_upstream(checkpoint: Checkpoint, output: Path) -> None:
    """Write a checkpoint as the upstream folder: model_chunk_0..9 and model_args.yaml."""
    state: dict[str, Tensor] = {"pos_enc.inv_freq": torch.ones(1)}
    state.update({key: checkpoint.state[key] for key in expected_tensors(checkpoint.architecture)})
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    size = len(data) // CHUNKS
    output.mkdir(parents=True, exist_ok=True)
    for i in range(CHUNKS):
        end = (i + 1) * size if i < CHUNKS - 1 else len(data)
        (output / f"model_chunk_{i}").write_bytes(data[i * size : end])
    (output / ARGS_FILE).write_text(yaml.safe_dump(checkpoint.architecture.as_dict(), sort_keys=False))


def _read_bytes(path: Path) -> tuple[bytes, object]:
    if path.is_file():
        chunks, args_file = [path], path.parent / ARGS_FILE
    elif path.is_dir():
        chunks, args_file = [path / f"model_chunk_{i}" for i in range(CHUNKS)], path / ARGS_FILE
        absent = [chunk.name for chunk in chunks if not chunk.is_file()]
        if absent:
            raise WeightsError(
                f"the folder lacks {', '.join(absent)}",
                expected=f"model_chunk_0 .. model_chunk_{CHUNKS - 1}",
                remedy="give the upstream folder deconstructed_model, or a single model.pt",
                where=str(path),
            )
    else:
        raise WeightsError("no such checkpoint", got=str(path), expected="a folder of model_chunk_0..9, or a model.pt")
    try:
        args = yaml.safe_load(args_file.read_text()) if args_file.is_file() else {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WeightsError("cannot read the architecture", got=str(error), where=str(args_file)) from error
    return b"".join(chunk.read_bytes() for chunk in chunks), args


def _check_position_constant(state: Mapping[str, Tensor], where: str) -> None:
    constant = state.get("pos_enc.inv_freq")
    if constant is not None and not torch.equal(constant.float().flatten(), torch.ones(1)):
        raise WeightsError(
            "pos_enc.inv_freq is not that of ApogeeNet v3",
            got=constant.flatten().tolist(),
            expected=[1.0],
            remedy="this network has another positional encoding; it cannot be run here",
            where=where,
        )
