"""Import and export upstream checkpoints: one torch-saved state_dict, whole or (v3) cut into ten chunks.

`model_chunk_0..9` are byte slices of one `model.pt`; the first nine hold floor(size / 10) bytes each and the last the
rest. `model_args.yaml` beside them holds the architecture; without it the published network is assumed.
"""

from __future__ import annotations

import hashlib
import io
import reprlib
from collections.abc import Mapping
from pathlib import Path

import torch
import yaml
from torch import Tensor

from apnet_fast.networks.checkpoint import Checkpoint, check_state
from apnet_fast.networks.kinds import NETWORKS, NetworkKind, kind_of, network_kind, resembled
from apnet_fast.networks.scaling import LabelScaling
from apnet_fast.support.errors import WeightsError
from apnet_fast.support.forks import sound

CHUNKS = 10
ARGS_FILE = "model_args.yaml"
# The published one has 200 bytes.
_LONGEST_ARGS = 65_536


@sound
def import_upstream(path: Path, network: str) -> Checkpoint:
    """Return a checked `Checkpoint` from a single file, or from its folder (model.pt; v1: APOGEE_NET.pt; v3: chunks).

    Every key of the network must be there: upstream's own loaders of v3 and v1 would leave a missing layer random.
    Raises WeightsError naming the file, key or argument that is missing, unknown or of a wrong shape.
    """
    kind = network_kind(network)
    data, args = _read_bytes(path, kind)
    state = _load_state(data, str(path))
    _check_network(state, kind, str(path))
    architecture = kind.architecture_from({} if args is None else args, str(path))
    _check_constants(state, kind, str(path))
    left_out = tuple(key for key in state if key in kind.constants or (kind.left_out and kind.left_out.fullmatch(key)))
    kept = {key: value for key, value in state.items() if key not in left_out}
    check_state(kept, architecture, str(path))
    return Checkpoint(
        network=network,
        architecture=architecture,
        scaling=kind.scaling,
        state=kept,
        origin=f"upstream checkpoint {path.name}",
        source_sha256=hashlib.sha256(data).hexdigest(),
        left_out=left_out,
    )


def check_upstream_files(path: Path, network: str) -> None:
    """Raise WeightsError if files of a checkpoint are not there; what they hold is not looked at."""
    _files_of(path, network_kind(network))


def upstream_sha256(path: Path, network: str) -> str:
    """Return the hash that `import_upstream` would record of a checkpoint. Raises WeightsError if it is not there."""
    return hashlib.sha256(_read_bytes(path, network_kind(network))[0]).hexdigest()


def _load_state(data: bytes, where: str) -> Mapping[str, Tensor]:
    """Load the state_dict that torch.save wrote, without running anything that its pickle may hold."""
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
            "the checkpoint is not a state_dict", got=type(state).__name__, expected="names and tensors", where=where
        )
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor) or value.layout is not torch.strided:
            kind = value.layout if isinstance(value, Tensor) else type(value).__name__
            raise WeightsError(
                f"the checkpoint is not a plain state_dict: {key!r} is {kind}",
                expected="names and dense tensors",
                remedy="save model.state_dict() alone (not a training checkpoint around it)",
                where=where,
            )
    if state and all(key.startswith("module.") for key in state):
        raise WeightsError(
            "every key begins with 'module.'",
            expected="the keys of the network itself",
            remedy="save model.module.state_dict(): this one belongs to a DataParallel wrapper",
            where=where,
        )
    return state


@sound
def export_upstream(checkpoint: Checkpoint, output: Path) -> tuple[str, ...]:
    """Write a checkpoint into a folder in the upstream form, with model_args.yaml; return the names of the files.

    The form has no place for a label scaling: one that is not the published network's goes into the last layer.
    """
    kind = kind_of(checkpoint.architecture)
    state = dict(kind.constants)
    state.update({key: checkpoint.state[key] for key in kind.expected_tensors(checkpoint.architecture)})
    if checkpoint.scaling != kind.scaling:
        state |= _rescaled(state, checkpoint.scaling, kind.scaling)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    names = _file_names(kind)[0]
    size = len(data) // len(names)
    output.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        end = (i + 1) * size if i < len(names) - 1 else len(data)
        (output / name).write_bytes(data[i * size : end])
    (output / ARGS_FILE).write_text(yaml.safe_dump(checkpoint.architecture.as_dict(), sort_keys=False))
    return (*names, ARGS_FILE)


def _rescaled(state: Mapping[str, Tensor], old: LabelScaling, new: LabelScaling) -> dict[str, Tensor]:
    """Return a last layer whose outputs mean under the new scaling what the old ones mean under the old scaling."""
    weight_key = [key for key, value in state.items() if value.ndim == 2 and len(value) == len(new.names)][-1]
    bias_key = weight_key.removesuffix("weight") + "bias"
    old_mean, old_std, new_mean, new_std = (
        torch.tensor(values, dtype=torch.float64) for values in (old.mean, old.std, new.mean, new.std)
    )
    weight = state[weight_key].double() * (old_std / new_std)[:, None]
    bias = (state[bias_key].double() * old_std + old_mean - new_mean) / new_std
    return {weight_key: weight.float(), bias_key: bias.float()}


def _file_names(kind: NetworkKind) -> tuple[tuple[str, ...], ...]:
    """Return the names of a checkpoint's files in a folder, as alternatives; the first is upstream's."""
    if kind.chunked:
        return (tuple(f"model_chunk_{i}" for i in range(CHUNKS)),)
    return tuple((name,) for name in kind.files)


def _read_bytes(path: Path, kind: NetworkKind) -> tuple[bytes, object]:
    chunks, args_file = _files_of(path, kind)
    return b"".join(chunk.read_bytes() for chunk in chunks), _read_args(args_file) if args_file.is_file() else {}


def _files_of(path: Path, kind: NetworkKind) -> tuple[list[Path], Path]:
    """Return the files whose bytes are the checkpoint, in order, and the one of the architecture, if it is there."""
    choices = _file_names(kind)
    wanted = f"{choices[0][0]} .. {choices[0][-1]}" if kind.chunked else " or ".join(kind.files)
    if path.is_file():
        chunks, args_file = [path], path.parent / ARGS_FILE
    elif path.is_dir():
        names = next((choice for choice in choices if (path / choice[0]).is_file()), choices[0])
        chunks, args_file = [path / name for name in names], path / ARGS_FILE
        absent = [chunk.name for chunk in chunks if not chunk.is_file()]
        if absent:
            raise WeightsError(
                f"the folder lacks {', '.join(absent)}",
                expected=wanted,
                remedy=_remedy_of_folder(path, kind),
                where=str(path),
            )
    else:
        raise WeightsError("no such checkpoint", got=str(path), expected=f"a folder of {wanted}, or a single file")
    return chunks, args_file


def _read_args(path: Path) -> object:
    """Return what a model_args.yaml holds; WeightsError for what is not YAML, or nothing that could be sizes."""
    if path.stat().st_size > _LONGEST_ARGS:
        raise WeightsError(
            "cannot read the architecture",
            got=f"{path.stat().st_size} bytes",
            expected=f"at most {_LONGEST_ARGS}",
            where=str(path),
        )
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    # YAML knows dates and numbers of any length, whose errors are plain ValueErrors.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise WeightsError("cannot read the architecture", got=reprlib.repr(str(error)), where=str(path)) from error


def _remedy_of_folder(path: Path, kind: NetworkKind) -> str:
    """Say what to give instead of a folder that lacks the network's files, from what it does hold."""
    others = [
        f"--network {other.name}"
        for other in NETWORKS.values()
        if other is not kind and any((path / names[0]).is_file() for names in _file_names(other))
    ]
    folder = "the upstream folder deconstructed_model, or " if kind.chunked else ""
    hint = f"; files of another network are there: {' or '.join(others)}" if others else ""
    return f"give {folder}the single file of the checkpoint{hint}"


def _check_network(state: Mapping[str, Tensor], kind: NetworkKind, where: str) -> None:
    """Refuse a checkpoint whose keys are another network's, before looking at its tensors one by one."""
    found = resembled(state.keys())
    if found is not None and found is not kind:
        raise WeightsError(
            f"these are weights of {found.title}",
            expected=kind.title,
            remedy=f"--network {found.name}",
            where=where,
        )


def _check_constants(state: Mapping[str, Tensor], kind: NetworkKind, where: str) -> None:
    for key, expected in kind.constants.items():
        got = state.get(key)
        if got is not None and not torch.equal(got.float().flatten(), expected):
            raise WeightsError(
                f"{key} is not that of {kind.title}",
                got=got.flatten().tolist(),
                expected=expected.tolist(),
                remedy="this network has another positional encoding; it cannot be run here",
                where=where,
            )
