"""The trunk of one row is the plain network's, whatever its buffers held before."""

from __future__ import annotations

import numpy as np
import torch

from apnet_fast.engines.cpu import stem
from apnet_fast.engines.cpu.network import prepare
from apnet_fast.engines.cpu.trunk import Trunk
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.folding import fold_v3
from apnet_fast.networks.v3 import ApogeeNetV3, position_channel

PIXELS = 500


def with_margins(log_flux: np.ndarray) -> np.ndarray:
    flux = np.zeros(PIXELS + 3 * stem.FLUX_MARGIN, dtype=np.float32)
    flux[stem.FLUX_MARGIN : stem.FLUX_MARGIN + PIXELS] = log_flux
    return flux


def plain_features(checkpoint: Checkpoint, log_flux: np.ndarray) -> np.ndarray:
    """Pooled activations (pooled, channels) in float64."""
    network = checkpoint.module(torch.float64)
    assert isinstance(network, ApogeeNetV3)
    x = torch.from_numpy(log_flux.astype(np.float64))[None, None]
    with torch.inference_mode():
        x = network.first_conv(torch.cat([x, position_channel(x)], dim=1))
        for block in network.res_blocks:
            x = block(x)
        return network.pool(x)[0].T.numpy()


def test_features_are_those_of_the_plain_network(small_checkpoint: Checkpoint, rng: np.random.Generator) -> None:
    prepared = prepare(fold_v3(small_checkpoint, PIXELS), PIXELS)
    trunk = Trunk(prepared)
    log_flux = rng.normal(6, 0.5, PIXELS).astype(np.float32)
    out = np.full(prepared.features, np.nan, dtype=np.float32)
    trunk.features(with_margins(log_flux), out)
    got, expected = out.reshape(prepared.pooled, -1), plain_features(small_checkpoint, log_flux)
    # The engine orders channels so that a block's input comes first; every column is one of the network's.
    distance = np.abs(got[:, :, None] - expected[:, None, :]).max(axis=0)
    assert sorted(distance.argmin(axis=1)) == list(range(expected.shape[1]))
    assert distance.min(axis=1).max() < 1e-5 * np.abs(expected).max()
    other = plain_features(small_checkpoint, np.roll(log_flux, 1))
    assert np.abs(got[:, :, None] - other[:, None, :]).max(axis=0).min(axis=1).min() > 1e-3

    # Another row in between leaves nothing behind.
    again = np.full_like(out, np.nan)
    trunk.features(with_margins(rng.normal(0, 9, PIXELS).astype(np.float32)), again)
    assert not np.allclose(again, out, rtol=1e-2)
    trunk.features(with_margins(log_flux), again)
    assert again.tobytes() == out.tobytes()
