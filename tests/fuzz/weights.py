"""Mutated weights files: tensors, header and metadata."""

from __future__ import annotations

import json
import random
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from apnet_fast.networks.checkpoint import SIMULATED, Checkpoint, load_checkpoint
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.v3 import ArchitectureV3
from tests.fuzz.case import Case, Kind, WrongAnswer
from tests.fuzz.json_mutations import RAW, VALUES, mutate_json
from tests.fuzz.mutations import mutate_bytes

SMALL = ArchitectureV3(dim_mults=(1, 2), adapt_pool_output_dim=16, num_linear=1, linear_dim=8)
SIZES = (0, 1, -1, 2**40, 10**9, 10**18, 2**63, 2**64 - 1)
WORDS = (
    "network", "architecture", "scaling", "origin", "source_sha256", "left_out", "flux_range", "trained_on",
)  # fmt: skip
ABSURD = (float("nan"), float("inf"), -float("inf"), 3.4e38, -3.4e38, 1e30)


def _prepare(folder: Path) -> list[tuple[bytes, Checkpoint]]:
    checkpoint = random_checkpoint(seed=1, architecture=SMALL)
    checkpoints = [checkpoint, replace(checkpoint, flux_range=(9.5, 2e4), trained_on=SIMULATED)]
    sound = []
    for number, checkpoint in enumerate(checkpoints):
        path = folder / f"{number}.safetensors"
        checkpoint.save(path)
        sound.append((path.read_bytes(), load_checkpoint(path)))
    return sound


def _make(rng: random.Random, base: Any, folder: Path) -> Case:
    content, checkpoint = rng.choice(base)
    path = folder / "w.safetensors"
    how = rng.choice(["tensors", "words", "words", "absurd", "header", "metadata", "metadata", "sizes", "bytes"])
    header, tensors = _split(content)
    if how == "bytes":
        changed, what = mutate_bytes(content, rng)
    elif how == "tensors":
        flipped = bytearray(tensors)
        at = rng.randrange(len(flipped))
        flipped[at] ^= 1 << rng.randrange(8)
        changed, what = _joined(header, bytes(flipped)), f"a bit of byte {at} of the tensors"
    elif how == "words":
        flipped = bytearray(header)
        at = rng.randrange(header.index(b"__metadata__"), header.index(b"}", header.index(b'"source_sha256"')))
        flipped[at] ^= 1 << rng.randrange(8)
        changed, what = _joined(bytes(flipped), tensors), f"a bit of byte {at} of the header"
    elif how == "absurd":
        changed, what = _absurd(header, tensors, rng)
    elif how == "sizes":
        size = rng.choice(SIZES)
        changed, what = struct.pack("<Q", size % 2**64) + content[8:], f"a header of {size} bytes"
    elif how == "header":
        text, what = mutate_json(header.decode(), rng)
        changed, what = _joined(text, tensors), f"header: {what}"
    else:
        changed, what = _metadata(header, tensors, rng)
    path.write_bytes(changed)
    return Case(what, (path, checkpoint))


def _metadata(header: bytes, tensors: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Mutate one entry of the metadata, inside its own JSON if it is some."""
    document = json.loads(header)
    key = rng.choice(sorted(document["__metadata__"]))
    entry = document["__metadata__"][key]
    if key in ("architecture", "labels", "left_out") and rng.random() < 0.7:
        text, what = mutate_json(entry, rng)
        document["__metadata__"][key] = text.decode("utf-8", "replace")
    elif rng.random() < 0.5:
        document["__metadata__"][key] = rng.choice(RAW)
        what = "a raw text"
    else:
        document["__metadata__"][key] = rng.choice(VALUES)
        what = "another value"
    return _joined(json.dumps(document).encode("utf-8", "replace"), tensors), f"{key}: {what}"


def _absurd(header: bytes, tensors: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Put an absurd number into a tensor."""
    document = json.loads(header)
    name = rng.choice([key for key, entry in document.items() if key != "__metadata__" and entry["dtype"] == "F32"])
    start, stop = document[name]["data_offsets"]
    value, at = rng.choice(ABSURD), start + 4 * rng.randrange((stop - start) // 4)
    return _joined(header, tensors[:at] + struct.pack("<f", value) + tensors[at + 4 :]), f"{name}: {value}"


def _split(content: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack("<Q", content[:8])
    return content[8 : 8 + length], content[8 + length :]


def _joined(header: bytes, tensors: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + tensors


def _judge(base: Any, case: Case) -> str:
    path, sound = case.data
    loaded = load_checkpoint(path)
    for word in WORDS:
        if getattr(loaded, word) != getattr(sound, word):
            raise WrongAnswer(f"{word} is {getattr(loaded, word)!r}, not {getattr(sound, word)!r}")
    for key, tensor in sound.state.items():
        if not torch.equal(loaded.state[key], tensor):
            raise WrongAnswer(f"{key} has other values")
    with np.errstate(all="ignore"), torch.no_grad():
        loaded.module()
    return "loaded"


KIND = Kind("weights", _prepare, _make, _judge)
