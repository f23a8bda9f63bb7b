"""Fresh v3 weights see lines through spikes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from apnet_fast.networks.kinds import NETWORKS
from apnet_fast.networks.v3 import ApogeeNetV3, ArchitectureV3
from apnet_fast.train.networks import fresh_network

SIZES = ArchitectureV3(dim_mults=(1, 2, 4), adapt_pool_output_dim=32, num_linear=1, linear_dim=16)


def log_flux_of(depth: float = 0.2, spikes: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Log flux (16, 1, 2000) of stars with lines, 1 % spikes at the floor, and a gap; and which pixels hold data."""
    rng = np.random.default_rng(0)
    log_flux = 6 + rng.standard_normal((16, 1)) + 0.01 * rng.standard_normal((16, 2000))
    log_flux[:, 20::40] -= depth
    log_flux[:, 21::40] -= depth
    log_flux[np.random.default_rng([1, spikes]).random((16, 2000)) < 0.01] = -13.8
    covered = np.ones((16, 2000), dtype=bool)
    covered[:, 900:1100] = False
    log_flux[~covered] = -13.8
    return torch.from_numpy(log_flux.astype(np.float32))[:, None], torch.from_numpy(covered)


def lines_over_spikes(network: nn.Module) -> float:
    """How much pooled features change when lines deepen, over how much they change when spikes move."""
    assert isinstance(network, ApogeeNetV3)
    pooled: list[torch.Tensor] = []
    hook = network.pool.register_forward_hook(lambda module, arguments, output: pooled.append(output))
    with torch.no_grad():
        for depth, spikes in ((0.2, 0), (0.3, 0), (0.2, 1)):
            network.train()
            network(log_flux_of(depth, spikes)[0])
    hook.remove()
    plain, deeper, moved = pooled
    return float((deeper - plain).abs().mean() / (moved - plain).abs().mean())


@pytest.mark.slow
def test_lines_are_seen_through_spikes() -> None:
    torch.manual_seed(0)
    usual = ApogeeNetV3(SIZES)
    fresh = fresh_network(NETWORKS["v3"], SIZES, 0, *log_flux_of())
    assert lines_over_spikes(fresh) > 5 * lines_over_spikes(usual)


def test_gaps_have_no_weight_and_the_seed_decides() -> None:
    inputs, covered = log_flux_of()
    state = torch.random.get_rng_state()
    first, second = (fresh_network(NETWORKS["v3"], SIZES, 5, inputs, covered) for _ in range(2))
    other = fresh_network(NETWORKS["v3"], SIZES, 6, inputs, covered)
    assert torch.equal(torch.random.get_rng_state(), state)
    key = "linear_sequential.0.linear_layer.weight"
    assert torch.equal(first.state_dict()[key], second.state_dict()[key])
    assert not torch.equal(first.state_dict()[key], other.state_dict()[key])
    of_positions = first.state_dict()[key].view(16, -1, 32).abs().sum(dim=(0, 1))
    assert of_positions[15] == of_positions[16] == 0
    assert (of_positions[:13] > 0).all()


def test_v2_and_v1_start_in_the_unit_of_flux() -> None:
    inputs, covered = log_flux_of()
    for name in ("v1", "v2"):
        kind = NETWORKS[name]
        architecture = kind.architecture_from({"channels": [8, 8], "linear_dim": 64, "pixels": 2000}, "")
        others = (torch.zeros(16, 7),) if name == "v2" else ()
        bright = fresh_network(kind, architecture, 0, 1e4 * inputs.exp(), covered)
        faint = fresh_network(kind, architecture, 0, inputs.exp(), covered)
        with torch.no_grad():
            a, b = bright(1e4 * inputs.exp(), *others), faint(inputs.exp(), *others)
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
        assert 0.01 < float(a.abs().mean()) < 10
