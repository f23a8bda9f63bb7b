"""The upstream checkpoint form: one torch-saved state_dict, whole or cut into ten chunks.

`model_chunk_0..9` are byte slices of one `model.pt`; the first nine hold floor(size / 10)
bytes each and the last the rest. `model_args.yaml` beside them holds the architecture.
"""

from __future__ import annotations

import hashlib
import io
import pickle
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
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise WeightsError(
            f"cannot read the checkpoint: {str(error).splitlines()[0]}",
            got=f"{len(data)} bytes",
            expected="a state_dict saved by torch.save",
            remedy="compare sizes and checksums of the chunks with their source",
            where=str(path),
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(
            "the checkpoint is no plain state_dict",
            got=type(state).__name__,
            expected="a mapping of names to tensors",
            where=str(path),
        )
    architecture = architecture_from_args(args, str(path)) if args else ArchitectureV3()
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


def _read_bytes(path: Path) -> tuple[bytes, dict[str, object]]:
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
    args = yaml.safe_load(args_file.read_text()) if args_file.is_file() else {}
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
