"""Import and export of the upstream form: chunks, single files, prototypes' extra keys, clear refusals."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from apnet_fast.engines import ReferenceEngine
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.upstream import export_upstream, import_upstream
from apnet_fast.recipes import get_recipe
from apnet_fast.recipes.noise import noise_keys
from apnet_fast.support.errors import UsageError, WeightsError
from tests.engines.battery import ordinary_spectra


@pytest.fixture
def folder(small_checkpoint: Checkpoint, tmp_path: Path) -> Path:
    """The small network in the upstream form."""
    export_upstream(small_checkpoint, tmp_path / "upstream")
    return tmp_path / "upstream"


def state_of(folder: Path) -> dict[str, torch.Tensor]:
    whole = folder / "whole.pt"
    whole.write_bytes(b"".join((folder / f"model_chunk_{i}").read_bytes() for i in range(10)))
    state = torch.load(whole, weights_only=True)
    whole.unlink()
    return state


def save_single(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    path = folder / "model.pt"
    torch.save(state, path)
    return path


def test_export_then_import_gives_the_same_weights(small_checkpoint: Checkpoint, folder: Path) -> None:
    imported = import_upstream(folder, "v3")
    assert imported.architecture == small_checkpoint.architecture
    assert imported.left_out == ("pos_enc.inv_freq",)
    assert imported.state.keys() == small_checkpoint.state.keys()
    for key, value in small_checkpoint.state.items():
        assert torch.equal(imported.state[key], value)
    assert len(imported.source_sha256) == 64


@pytest.mark.parametrize("network", ["v3", "v2", "v1"])
def test_labels_outlive_the_form_that_has_no_scaling(
    network: str, small_checkpoint: Checkpoint, tmp_path: Path, rng: np.random.Generator
) -> None:
    whole = small_checkpoint if network == "v3" else random_checkpoint(1, network=network)
    scaling = whole.scaling
    mean = tuple(mean + 0.3 * std for mean, std in zip(scaling.mean, scaling.std, strict=True))
    own = replace(whole, scaling=replace(scaling, mean=mean, std=tuple(1.2 * std for std in scaling.std)))
    export_upstream(own, tmp_path / "own")
    imported = import_upstream(tmp_path / "own", network)
    assert imported.scaling == whole.scaling != own.scaling
    recipe = get_recipe(None, network)
    flux, error = ordinary_spectra(rng, 2)
    got, expected, other = (
        ReferenceEngine(each, recipe, precision="fp64").predict(flux, error, noise_keys(0, "ab"), 2).draws
        for each in (imported, own, whole)
    )
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    assert not np.allclose(got, other, rtol=1e-2)


def test_chunks_have_the_upstream_sizes(folder: Path) -> None:
    sizes = [(folder / f"model_chunk_{i}").stat().st_size for i in range(10)]
    assert sizes[:9] == [sum(sizes) // 10] * 9
    assert sizes[9] == sum(sizes) - 9 * (sum(sizes) // 10)


def test_exported_state_loads_strictly_upstream(folder: Path) -> None:
    # Upstream's class also registers the constant of its positional encoding.
    assert torch.equal(state_of(folder)["pos_enc.inv_freq"], torch.ones(1))


def test_a_single_file_is_the_same_as_its_chunks(folder: Path) -> None:
    whole = folder / "model.pt"
    whole.write_bytes(b"".join((folder / f"model_chunk_{i}").read_bytes() for i in range(10)))
    assert import_upstream(whole, "v3").source_sha256 == import_upstream(folder, "v3").source_sha256


def test_without_model_args_it_is_the_survey_network(folder: Path) -> None:
    (folder / "model_args.yaml").unlink()
    with pytest.raises(WeightsError, match=r"res_blocks\.2"):
        import_upstream(folder, "v3")


def test_keys_of_old_prototypes_are_left_out_and_named(folder: Path) -> None:
    extra = {"metadatanet.0.weight": torch.zeros(4), "res_blocks.0.mlp.1.bias": torch.zeros(2)}
    imported = import_upstream(save_single(folder, state_of(folder) | extra), "v3")
    assert set(imported.left_out) == {*extra, "pos_enc.inv_freq"}
    assert not set(extra) & set(imported.state)


def test_any_other_extra_key_is_an_error(folder: Path) -> None:
    path = save_single(folder, state_of(folder) | {"res_blocks.0.conv3.weight": torch.zeros(2)})
    with pytest.raises(WeightsError, match=r"unknown key res_blocks\.0\.conv3\.weight"):
        import_upstream(path, "v3")


def test_a_missing_key_is_an_error(folder: Path) -> None:
    state = state_of(folder)
    del state["linear_sequential.2.bias"]
    with pytest.raises(WeightsError, match=r"linear_sequential\.2\.bias"):
        import_upstream(save_single(folder, state), "v3")


def test_another_positional_encoding_is_refused(folder: Path) -> None:
    path = save_single(folder, state_of(folder) | {"pos_enc.inv_freq": torch.tensor([1.0, 0.01])})
    with pytest.raises(WeightsError, match="positional encoding"):
        import_upstream(path, "v3")


def test_a_missing_chunk_is_named(folder: Path) -> None:
    (folder / "model_chunk_7").unlink()
    with pytest.raises(WeightsError, match="model_chunk_7"):
        import_upstream(folder, "v3")


def test_a_damaged_checkpoint_is_refused(folder: Path) -> None:
    chunk = folder / "model_chunk_4"
    chunk.write_bytes(chunk.read_bytes()[:100])
    with pytest.raises(WeightsError, match="cannot read the checkpoint"):
        import_upstream(folder, "v3")


def test_a_weights_file_need_not_be_imported(small_weights: Path) -> None:
    with pytest.raises(WeightsError, match="safetensors file already"):
        import_upstream(small_weights, "v3")


class Payload:
    """Anything a pickle could smuggle in: loading must refuse it, not run it."""


def test_a_pickle_with_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"x": Payload()}, path)
    with pytest.raises(WeightsError, match="cannot read the checkpoint"):
        import_upstream(path, "v3")


@pytest.mark.parametrize(
    ("saved", "words"),
    [
        ({"epoch": 3}, "'epoch' is int"),
        ({"state_dict": {"a": torch.zeros(1)}}, "'state_dict' is dict"),
        ({3: torch.zeros(1)}, "not a plain state_dict"),
        ({"a": torch.zeros(2, 2).to_sparse()}, "sparse"),
        (torch.zeros(2), "not a state_dict"),
        ({"module.first_conv.bn.bias": torch.zeros(4)}, "DataParallel"),
        ({}, "lack the keys"),
    ],
)
def test_a_checkpoint_that_is_no_state_dict_is_refused(tmp_path: Path, saved: object, words: str) -> None:
    path = tmp_path / "model.pt"
    torch.save(saved, path)
    with pytest.raises(WeightsError, match=words):
        import_upstream(path, "v3")


@pytest.mark.parametrize("content", [b"", b"text\n", b"PK\x03\x04" + bytes(100), bytes(1000)])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot read the checkpoint") as caught:
        import_upstream(path, "v3")
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("text", ["[1, 2]", "{", "model_dim: four", "dim_mults: 4", "dim_mults: []", "model_dim: -4"])
def test_damaged_architectures_are_refused(folder: Path, text: str) -> None:
    (folder / "model_args.yaml").write_text(text)
    with pytest.raises(WeightsError, match="architecture"):
        import_upstream(folder, "v3")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"in_channels": 2}, "in_channels; got 2"),
        ({"num_targets": 4}, "num_targets; got 4"),
        ({"pos_enc": False}, "pos_enc"),
        ({"dropout": 0.1}, "unknown architecture argument dropout"),
    ],
)
def test_architectures_that_v3_cannot_be(folder: Path, change: dict[str, object], words: str) -> None:
    args = folder / "model_args.yaml"
    args.write_text(yaml.safe_dump(yaml.safe_load(args.read_text()) | change))
    with pytest.raises(WeightsError, match=words):
        import_upstream(folder, "v3")


def test_unknown_network_and_missing_path(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown network"):
        import_upstream(folder, network="v9")
    with pytest.raises(WeightsError, match="no such checkpoint"):
        import_upstream(tmp_path / "nowhere", "v3")


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghij")
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model_dim: " + "9" * 5000, "cannot read the architecture|model_dim makes no network"),
        ("model_dim: " + "[" * 20_000, "cannot read the architecture"),
        ("model_dim: 1000000000000000000", "model_dim makes no network"),
        ("num_linear: 1000000000", "num_linear makes no network"),
        ("model_dim: 2024-13-45", "cannot read the architecture|model_dim makes no network"),
        (LAUGHS, "unknown architecture argument"),
        (LAUGHS + "model_dim: *j\n", "architecture argument"),
        ("x" * 100_000, "cannot read the architecture; got 100000 bytes"),
        ("- 4", "architecture is not a mapping"),
        ("\x00", "cannot read the architecture"),
    ],
    ids=range(10),
)
def test_hostile_arguments_are_refused_by_name(text: str, words: str, folder: Path) -> None:
    (folder / "model_args.yaml").write_text(text)
    with pytest.raises(WeightsError, match=words) as caught:
        import_upstream(folder, "v3")
    assert len(str(caught.value)) < 2000


def test_absurd_values_are_refused_at_import(folder: Path) -> None:
    state = state_of(folder)
    state["first_conv.bn.running_var"][2] = 3.4e38
    with pytest.raises(WeightsError, match=r"first_conv\.bn\.running_var holds absurdly large values; got 3\.4e\+38"):
        import_upstream(save_single(folder, state), "v3")
