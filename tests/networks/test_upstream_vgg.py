"""Import and export of v2 and v1: one model.pt, every key required, and the bytes come back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from apnet_fast.networks.checkpoint import Checkpoint, load_checkpoint, network_of
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.upstream import export_upstream, import_upstream
from apnet_fast.networks.v1 import ArchitectureV1
from apnet_fast.networks.v2 import ArchitectureV2
from apnet_fast.networks.v3 import ArchitectureV3
from apnet_fast.support.errors import WeightsError

SIZES = {"channels": (2, 2, 2, 4, 4, 4), "linear_dim": 8}


@pytest.fixture(params=["v2", "v1"])
def checkpoint(request: pytest.FixtureRequest) -> Checkpoint:
    """A small network."""
    architecture = ArchitectureV1(**SIZES) if request.param == "v1" else ArchitectureV2(metadata_dims=(4, 4), **SIZES)
    return random_checkpoint(2, architecture)


def test_the_bytes_come_back(checkpoint: Checkpoint, tmp_path: Path) -> None:
    file = {"v2": "model.pt", "v1": "APOGEE_NET.pt"}[checkpoint.network]
    assert export_upstream(checkpoint, tmp_path / "one") == (file, "model_args.yaml")
    imported = import_upstream(tmp_path / "one", checkpoint.network)
    assert imported.left_out == ()
    assert imported.architecture == checkpoint.architecture
    assert imported.scaling == checkpoint.scaling
    imported.save(tmp_path / "w.safetensors")
    assert network_of(tmp_path / "w.safetensors") == checkpoint.network
    export_upstream(load_checkpoint(tmp_path / "w.safetensors"), tmp_path / "two")
    assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    again = import_upstream(tmp_path / "two", checkpoint.network)
    assert again.source_sha256 == imported.source_sha256
    for key, value in checkpoint.state.items():
        assert again.state[key].numpy().tobytes() == value.numpy().tobytes()
    broken = replace(again, state={**again.state, "fc3.bias": again.state["fc3.bias"].roll(1)})
    export_upstream(broken, tmp_path / "three")
    assert (tmp_path / "one" / file).read_bytes() != (tmp_path / "three" / file).read_bytes()


@pytest.mark.parametrize("network", ["v2", "v1"])
def test_a_bare_state_dict_is_of_the_published_network(network: str, tmp_path: Path) -> None:
    state = random_checkpoint(0, network=network).state
    torch.save(dict(reversed(state.items())), tmp_path / "APOGEE_NET.pt")
    imported = import_upstream(tmp_path / "APOGEE_NET.pt", network)
    assert len(imported.state) == {"v2": 40, "v1": 30}[network]
    assert all(torch.equal(imported.state[key], value) for key, value in state.items())


@pytest.mark.parametrize("key", ["conv1.weight", "conv12.bias", "fc3.bias"])
def test_a_missing_key_is_an_error(key: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    file, _ = export_upstream(checkpoint, tmp_path)
    torch.save({name: value for name, value in checkpoint.state.items() if name != key}, tmp_path / file)
    with pytest.raises(WeightsError, match=f"lack the key {key}.*tensors of ApogeeNet {checkpoint.network}"):
        import_upstream(tmp_path, checkpoint.network)


def test_the_other_network_is_recognised_by_its_keys(tmp_path: Path) -> None:
    sizes = {"v2": ArchitectureV2(metadata_dims=(4, 4), **SIZES), "v1": ArchitectureV1(**SIZES)}
    states = {network: dict(random_checkpoint(0, size).state) for network, size in sizes.items()}
    states["v3"] = dict(
        random_checkpoint(0, ArchitectureV3(dim_mults=(1, 2), adapt_pool_output_dim=16, linear_dim=8)).state
    )
    for network, state in states.items():
        torch.save(state, tmp_path / "model.pt")
        for other in states.keys() - {network}:
            with pytest.raises(WeightsError, match=rf"weights of ApogeeNet {network};.*Remedy: --network {network}"):
                import_upstream(tmp_path / "model.pt", other)
    v1 = random_checkpoint(0, sizes["v1"])
    # v3's left-out keys are v3's alone.
    torch.save({**v1.state, "pos_enc.inv_freq": torch.ones(1)}, tmp_path / "model.pt")
    with pytest.raises(WeightsError, match=r"unknown key pos_enc\.inv_freq"):
        import_upstream(tmp_path / "model.pt", "v1")


def test_a_folder_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"lacks model\.pt"):
        import_upstream(tmp_path, "v2")
    with pytest.raises(WeightsError, match=r"lacks APOGEE_NET\.pt; expected APOGEE_NET\.pt or model\.pt"):
        import_upstream(tmp_path, "v1")
    (tmp_path / "APOGEE_NET.pt").write_bytes(b"")
    for network in ("v3", "v2"):
        with pytest.raises(WeightsError, match=r"Remedy: .*of another network are there: --network v1"):
            import_upstream(tmp_path, network)


@pytest.mark.parametrize("file", ["APOGEE_NET.pt", "model.pt"])
def test_a_folder_of_v1_has_either_name(file: str, tmp_path: Path) -> None:
    checkpoint = random_checkpoint(0, network="v1")
    torch.save(dict(checkpoint.state), tmp_path / file)
    assert import_upstream(tmp_path, "v1").state.keys() == checkpoint.state.keys()
