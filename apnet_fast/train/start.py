"""Initial weights of v3 that see lines.

Log flux varies by 1 from star to star with brightness, by 10 to 20 between pixels with and without data (which jump in
every noise draw), and by 0.01 to 0.5 in lines. With the usual random weights, brightness and gaps are all that passes
through the BatchNorms, and learning to see lines takes longer than many a training. So training starts with:
kernels of the first convolution that sum to zero over log flux, and hardly see the position channel; BatchNorms with
the scale and offset that normalise the pixels with data; no weight on pooled positions without data; and linear layers
that keep the variance of what passes through them (He et al. 2015).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from apnet_fast.networks.v3 import ApogeeNetV3

_POSITION_GAIN = 0.1
_OUTPUT_GAIN = 0.3


@torch.no_grad()
def start_v3(network: ApogeeNetV3, inputs: Tensor, covered: Tensor) -> None:
    """Adjust freshly drawn weights, in place, to a batch of training inputs.

    inputs: (B, 1, pixels), network inputs. covered: bool (B, pixels), pixels with data.
    """
    first = network.first_conv.conv_layer.weight  # (4, 2, 30)
    first[:, 0] -= first[:, 0].mean(dim=-1, keepdim=True)
    first[:, 1] *= _POSITION_GAIN
    linear = [module for module in network.linear_sequential.modules() if isinstance(module, nn.Linear)]
    for layer in linear:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    linear[-1].weight *= _OUTPUT_GAIN
    _ignore_missing(linear[0].weight, covered, network.architecture.adapt_pool_output_dim)
    _normalise_covered(network, inputs, covered)


def _ignore_missing(weight: Tensor, covered: Tensor, pooled: int) -> None:
    """Zero the first linear layer's weights on pooled positions that lack data in most spectra."""
    share = functional.adaptive_avg_pool1d(covered.float().mean(dim=0)[None, None], pooled)[0, 0]
    seen = share > 0.95
    if seen.any():
        weight.view(len(weight), -1, pooled).mul_(seen * seen.float().mean() ** -0.5)


def _normalise_covered(network: nn.Module, inputs: Tensor, covered: Tensor) -> None:
    """Set BatchNorms so that their outputs at pixels with data have mean 0 and variance 1, layer by layer."""

    def adjust(norm: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        (x,) = arguments
        assert isinstance(norm, nn.BatchNorm1d)
        mask = functional.interpolate(covered[:, None].float(), size=x.shape[-1], mode="nearest") > 0  # (B, 1, L)
        count = mask.sum().clamp(min=1)
        mean = torch.where(mask, x, 0.0).sum(dim=(0, 2)) / count
        std = (torch.where(mask, (x - mean[:, None]) ** 2, 0.0).sum(dim=(0, 2)) / count).sqrt()
        overall = (x.var(dim=(0, 2), unbiased=False) + norm.eps).sqrt()
        std = torch.maximum(std, 1e-3 * overall)
        norm.weight.copy_(overall / std)
        norm.bias.copy_((x.mean(dim=(0, 2)) - mean) / std)

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    hooks = [norm.register_forward_pre_hook(adjust) for norm in norms]
    network.train()
    network(inputs)
    for hook in hooks:
        hook.remove()
