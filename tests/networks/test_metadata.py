"""Hostile headers are refused by name: quickly, without a traceback, and before anything large is allocated."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apnet_fast.networks.checkpoint import load_checkpoint, network_of
from apnet_fast.networks.metadata import read_header, strict_json
from apnet_fast.recipes.flux import FLUX_UNIT
from apnet_fast.support.errors import WeightsError

Header = dict[str, Any]


def split(path: Path) -> tuple[Header, bytes]:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(path: Path, header: Header | bytes, tensors: bytes) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode("utf-8", "surrogatepass")
    path.write_bytes(struct.pack("<Q", len(text)) + text + tensors)
    return path


def refused(path: Path) -> str:
    """Load a file, which must be refused, and without much memory; return the message."""
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError) as caught:
            load_checkpoint(path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 100 << 20
    message = str(caught.value)
    assert str(path) in message
    assert len(message) < 2000
    return message


def test_a_written_file_has_everything(small_weights: Path) -> None:
    header = read_header(small_weights)
    assert header.metadata.network == "v3"
    assert header.metadata.version.title == "ApogeeNet v3"
    assert header.metadata.flux_unit == FLUX_UNIT
    assert len(header.metadata.content_sha256 or "") == 64
    assert header.tensors["first_conv.conv_layer.weight"].shape == [4, 2, 30]
    assert network_of(small_weights) == "v3"


def test_keys_that_nobody_knows(small_weights: Path, tmp_path: Path) -> None:
    """A flipped bit may be what makes a key unknown; a file without a checksum may have been annotated."""
    header, tensors = split(small_weights)
    header["__metadata__"] |= {"pipeline_tag": "x" * 1000, "note": '{"deep": [[[', "": ""}
    message = refused(joined(tmp_path / "w.safetensors", header, tensors))
    assert "hold '', 'note', 'pipeline_tag', which nobody wrote there" in message
    header["__metadata__"]["format"] = "apnet_fast/1"
    assert "nobody wrote" in refused(joined(tmp_path / "w.safetensors", header, tensors))
    del header["__metadata__"]["content_sha256"]
    assert load_checkpoint(joined(tmp_path / "w.safetensors", header, tensors)).network == "v3"


DEEP = "[" * 200_000
LONG = "9" * 5000


@pytest.mark.parametrize("key", ["architecture", "labels", "left_out", "flux_range"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (DEEP, "nested without end"),
        ('{"a":' * 100_000, "nested without end"),
        (LONG, "a number in .* has no end; got 5000 digits"),
        (f"[{LONG}]", "a number in .* has no end"),
        ("{", "is not JSON"),
        ("", "is not JSON"),
        ("\ud800", "is not JSON"),
        ("nope", "is not JSON"),
        ('{"a": 1, "a": 2}', "holds a key twice; got 'a'"),
    ],
)
def test_json_without_end_is_refused(key: str, text: str, words: str, small_weights: Path, tmp_path: Path) -> None:
    header, tensors = split(small_weights)
    header["__metadata__"][key] = text
    message = refused(joined(tmp_path / "w.safetensors", header, tensors))
    assert re.search(words, message), message


def _with(value: Any, *place: str) -> Callable[[Header], None]:
    def change(header: Header) -> None:
        at = header
        for key in place[:-1]:
            at = at[key]
        at[place[-1]] = value

    return change


def _metadata(key: str, value: Any) -> Callable[[Header], None]:
    return _with(value if isinstance(value, str) else json.dumps(value), "__metadata__", key)


LABELS = {"names": ["logg", "log_teff", "fe_h"], "mean": [3.2, 3.7, -0.2], "std": [1.2, 0.1, 0.3]}
SIZES = {"dim_mults": [1, 2, 4], "num_linear": 2, "kernel_size": 30}
TENSOR = "linear_sequential.2.bias"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_metadata("left_out", 7), "left_out"),
        (_metadata("left_out", '"\\ud800"'), "the metadata cannot be used"),
        (_metadata("origin", "\ud800"), "cannot read weights|the metadata cannot be used"),
        (_with("\ud800", TENSOR, "shape"), f"the layout of {TENSOR} cannot be used"),
        (_metadata("left_out", {"a": 1}), "left_out"),
        (_metadata("left_out", [1, None]), r"left_out\[0\]"),
        (_metadata("left_out", None), "left_out"),
        (_metadata("labels", LABELS | {"mean": "3.2"}), r"labels\.mean"),
        (_metadata("labels", LABELS | {"mean": [3.2, 3.7, None]}), r"labels\.mean\[2\]"),
        (_metadata("labels", LABELS | {"mean": [3.2, 3.7, [0]]}), r"labels\.mean\[2\]"),
        (_metadata("labels", LABELS | {"std": [1e999, 1, 1]}), "label scaling"),
        (_metadata("labels", LABELS | {"std": [-1, 1, 1]}), "label scaling"),
        (_metadata("labels", LABELS | {"names": [["logg"], 1, 2]}), r"labels\.names"),
        (_metadata("labels", [LABELS]), "labels in the metadata is not a mapping"),
        (_metadata("architecture", None), "architecture in the metadata is not a mapping"),
        (_metadata("architecture", {"num_linear": 10**9}), "num_linear makes no network.*from 1 to 64"),
        (_metadata("architecture", {"num_linear": 10**18}), "num_linear makes no network"),
        (_metadata("architecture", {"linear_dim": 10**18}), "linear_dim makes no network"),
        (_metadata("architecture", SIZES | {"linear_dim": 65_536, "adapt_pool_output_dim": 65_536}), "wrong shape"),
        (_metadata("architecture", {}), "weights lack the keys"),
        (_metadata("architecture", {"dim_mults": [1] * 10**5}), "dim_mults makes no network"),
        (_metadata("architecture", {"dim_mults": [65_536, 65_536]}), "makes no network"),
        (_metadata("architecture", {"dim_mults": "12345"}), "dim_mults makes no network"),
        (_metadata("architecture", {"kernel_size": -1}), "kernel_size makes no network"),
        (_metadata("architecture", {"kernel_size": True}), "kernel_size makes no network"),
        (_metadata("architecture", {"kernel_size": 30.5}), "kernel_size makes no network"),
        (_metadata("architecture", {"num_targets": 10**9}), "not an ApogeeNet v3 architecture: num_targets"),
        (_metadata("architecture", {"x" * 10**5: 1}), "unknown architecture argument"),
        (_metadata("network", "v" * 10**5), "unknown network"),
        (_metadata("network", "[3]"), "unknown network"),
        (_metadata("origin", "x" * 10**5), "origin"),
        (_metadata("source_sha256", "deadbeef"), "source_sha256"),
        (_metadata("content_sha256", "0" * 64), "have changed since they were written"),
        (_metadata("content_sha256", "sha"), "content_sha256"),
        (_metadata("flux_unit", "Jy"), "know flux in another unit; got Jy; expected 1e-17"),
        (_metadata("flux_range", [1]), "flux_range"),
        (_metadata("flux_range", [5, 1]), "flux_range in the metadata is not a range"),
        (_metadata("flux_range", [-1, 1e999]), "flux_range"),
        (_metadata("format", "apnet_fast/9"), "not a weights file of this package"),
        (_with(7, "__metadata__"), "metadata are not a mapping"),
        (_with(7, "__metadata__", "origin"), "metadata are not a mapping"),
        (_with([10**18], TENSOR, "shape"), "cannot be used: .*shape"),
        (_with([4_000_000_000, 4_000_000_000], TENSOR, "shape"), f"wrong shape or type of {TENSOR}"),
        (_with([-3], TENSOR, "shape"), "cannot be used: .*shape"),
        (_with("3", TENSOR, "shape"), "cannot be used: .*shape"),
        (_with([1] * 10**5, TENSOR, "shape"), "cannot be used: .*shape"),
        (_with("F16", TENSOR, "dtype"), f"wrong shape or type of {TENSOR}"),
        (_with("X" * 50, TENSOR, "dtype"), f"wrong shape or type of {TENSOR}"),
        (_with(["F32"], TENSOR, "dtype"), "cannot be used: .*dtype"),
        (_with([0, 10**18], TENSOR, "data_offsets"), "cannot read weights"),
        (_with([0], TENSOR, "data_offsets"), "cannot"),
        (_with([True, None], TENSOR, "data_offsets"), "cannot"),
        (_with(None, TENSOR), "cannot"),
        (_with({}, TENSOR), "cannot"),
        (_with({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "surplus"), "unknown key surplus"),
        (_with({"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "x": 1}, "surplus"), "unknown field `x`"),
    ],
)
def test_values_of_another_kind_are_refused_by_name(
    change: Callable[[Header], None], words: str, small_weights: Path, tmp_path: Path
) -> None:
    header, tensors = split(small_weights)
    change(header)
    message = refused(joined(tmp_path / "w.safetensors", header, tensors))
    assert re.search(words, message), message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot read weights: a header of 0 bytes in a file of 0"),
        (b"abc", "cannot read weights"),
        (struct.pack("<Q", 2**63) + b"{}", "a header of 9223372036854775808 bytes in a file of 10"),
        (struct.pack("<Q", 2**64 - 1), "cannot read weights"),
        (struct.pack("<Q", 2) + b"[]", "its header is a list"),
        (struct.pack("<Q", 2) + b"{}", "not a weights file of this package"),
        (struct.pack("<Q", 2) + b"\xff\xfe", "the header is not JSON"),
        (struct.pack("<Q", 0), "the header is not JSON"),
        (struct.pack("<Q", 200_000) + b"[" * 200_000, "the header is nested without end"),
        (struct.pack("<Q", 5_000_000) + b" " * 5_000_000, "a header of 5000000 bytes"),
    ],
    ids=range(10),
)
def test_files_of_another_kind_are_refused(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    assert words in refused(path)


def test_a_tensor_that_is_described_twice_is_refused(small_weights: Path, tmp_path: Path) -> None:
    header, tensors = split(small_weights)
    text = json.dumps(header)
    again = json.dumps({TENSOR: header[TENSOR]})[1:-1]
    path = joined(tmp_path / "w.safetensors", f"{text[:-1]}, {again}}}".encode(), tensors)
    assert f"the header holds a key twice; got '{TENSOR}'" in refused(path)


@pytest.mark.parametrize("surplus", [-1, 1, 1 << 20])
def test_a_file_of_another_length_is_refused(surplus: int, small_weights: Path, tmp_path: Path) -> None:
    header, tensors = split(small_weights)
    path = joined(tmp_path / "w.safetensors", header, tensors[:surplus] if surplus < 0 else tensors + b"0" * surplus)
    assert "cannot read weights" in refused(path)


def test_what_is_no_file_is_refused_without_being_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.safetensors"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(WeightsError, match="no such weights file"):
            load_checkpoint(path)


def test_a_million_duplicates_take_no_time() -> None:
    text = "{" + ",".join(f'"k{i // 2}":0' for i in range(200_000)) + "}"
    with pytest.raises(WeightsError, match="holds a key twice"):
        strict_json(text, "the text", "here")


def test_headers_are_read_without_torch(small_weights: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from apnet_fast.networks.metadata import read_header;"
        f"print(read_header(Path({str(small_weights)!r})).metadata.network, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["v3", "False"]


@pytest.mark.parametrize(
    ("content", "got", "remedy"),
    [
        (b"# apnet_fast\n\nApogeeNet ...", "'# apnet_fast'", "give the weights themselves"),
        ("Gewichte für Sterne, aus dem Tübinger Netz: bitte zuerst hier nachlesen ü".encode(), "Gewichte", "weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer file", "git lfs pull"),
        (b"PK\x03\x04" + bytes(100), "as torch.save writes", "weights import"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + bytes(100), "as torch.save writes", "weights import"),
    ],
    ids=["readme", "text", "lfs", "zip", "pickle"],
)
def test_files_that_are_taken_for_weights_say_what_they_are(
    content: bytes, got: str, remedy: str, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    said = refused(path)
    assert got in said
    assert "expected a .safetensors file" in said
    assert remedy in said.partition("Remedy: ")[2]
    assert str(path) in said


def test_a_real_file_is_not_taken_for_text(small_weights: Path) -> None:
    assert read_header(small_weights).metadata.network == "v3"


def test_a_folder_has_the_command_that_imports_it(tmp_path: Path) -> None:
    assert f"weights import {tmp_path} --network v3" in refused(tmp_path)
