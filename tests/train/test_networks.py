"""Labels in a network's order and scale, and weights that depend on the seed alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from apnet_fast.networks.kinds import NETWORKS
from apnet_fast.support.errors import UsageError
from apnet_fast.train.networks import fresh_network, label_targets, scaling_of

LABELS = np.array([[4000.0, 4.5, 0.0], [5000.0, 2.0, -1.0], [np.nan, 3.0, np.nan]])


def test_labels_stand_in_the_networks_order() -> None:
    targets = label_targets(LABELS, ("logg", "log_teff", "fe_h"))
    np.testing.assert_allclose(targets[0], [4.5, np.log10(4000.0), 0.0])
    assert np.isnan(targets[2]).tolist() == [False, True, True]
    assert not np.allclose(label_targets(LABELS, ("teff", "logg", "fe_h"))[0], targets[0])


def test_scaling_passes_over_unknown_labels() -> None:
    scaling = scaling_of(LABELS, ("teff", "logg", "fe_h"))
    assert scaling.mean == pytest.approx((4500.0, 9.5 / 3, -0.5))
    assert scaling.std[0] == pytest.approx(500.0)


@pytest.mark.parametrize("rows", [LABELS[:1], LABELS[[0, 0, 2]]])
def test_a_label_of_one_value_cannot_be_scaled(rows: np.ndarray) -> None:
    with pytest.raises(UsageError, match="two different values of teff"):
        scaling_of(rows, ("teff", "logg", "fe_h"))


def test_the_callers_random_state_stays() -> None:
    kind = NETWORKS["v1"]
    architecture = kind.architecture_from({"channels": [4, 4], "linear_dim": 8, "pixels": 512}, "")
    inputs, covered = torch.rand(4, 1, 512), torch.ones(4, 512, dtype=torch.bool)
    state = torch.random.get_rng_state()
    first, second, other = (fresh_network(kind, architecture, seed, inputs, covered) for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    weights = [network.state_dict()["fc3.weight"] for network in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
