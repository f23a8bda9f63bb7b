"""Set initial weights with which v3 sees lines, and v2 and v1 see flux.

Log flux varies by 1 from star to star with brightness, and by 0.01 to 0.5 in lines. Pixels without data, or without
flux in a noise draw, are 10 to 20 lower, at the recipe's floor: single ones everywhere, whole gaps between the chips.
Through the usual random kernels of 30 taps the network sees only these spikes, in every window, and it takes longer
than many trainings to learn to see lines. So training starts with

- narrow, positive kernels in the first convolution, and BatchNorm offsets that keep stars on the linear side of the
  ELU: spikes saturate there at -1, and max-pooling drops the single ones;
- kernels of the residual blocks that sum to zero over the pixels, so that brightness does not pass;
- BatchNorms that normalise the pixels with data;
- linear layers that keep the variance of their inputs (He et al. 2015), with no weight on pooled positions without
  data.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from apnet_fast.networks.v3 import ApogeeNetV3

_KERNEL_SIGMAS = (0.5, 0.8, 1.3, 2.5)  # pixels; the line spread function of APOGEE has 1.3
_POSITION_GAIN = 0.02
_FIRST_OFFSET = 2.0  # standard deviations of log flux between stars
_OUTPUT_GAIN = 0.3


@torch.no_grad()
def start_v3(network: ApogeeNetV3, inputs: Tensor, covered: Tensor) -> None:
    """Adjust v3's freshly drawn weights, in place, to a batch of training inputs.

    inputs: (B, 1, pixels), network inputs. covered: bool (B, pixels), pixels with data.
    """
    _see_pixels(network.first_conv.conv_layer.weight)
    for block in network.res_blocks.modules():
        if isinstance(block, nn.Conv1d):
            block.weight -= block.weight.mean(dim=-1, keepdim=True)
    linear = [module for module in network.linear_sequential.modules() if isinstance(module, nn.Linear)]
    for layer in linear:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    linear[-1].weight *= _OUTPUT_GAIN
    _ignore_missing(linear[0].weight, covered, network.architecture.adapt_pool_output_dim)
    _normalise_covered(network, inputs, covered)


def _see_pixels(weight: Tensor) -> None:
    """Turn the first kernels (channels, 2, taps) into Gaussians over log flux, and weaken those over position."""
    taps = weight.shape[-1]
    offsets = torch.arange(taps) - taps // 2
    for channel in range(len(weight)):
        sigma = _KERNEL_SIGMAS[channel % len(_KERNEL_SIGMAS)]
        kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
        weight[channel, 0] = kernel / kernel.sum()
    weight[:, 1] *= _POSITION_GAIN


def _ignore_missing(weight: Tensor, covered: Tensor, pooled: int) -> None:
    """Zero the first linear layer's weights on pooled positions that lack data in most spectra."""
    share = functional.adaptive_avg_pool1d(covered.float().mean(dim=0)[None, None], pooled)[0, 0]
    seen = share > 0.95
    if seen.any():
        weight.view(len(weight), -1, pooled).mul_(seen * seen.float().mean() ** -0.5)


def _normalise_covered(network: ApogeeNetV3, inputs: Tensor, covered: Tensor) -> None:
    """Set BatchNorms, layer by layer, so that their outputs at pixels with data have variance 1.

    Their mean is 0, except for the first one.
    """

    def adjust(norm: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        (x,) = arguments
        assert isinstance(norm, nn.BatchNorm1d)
        mask = functional.interpolate(covered[:, None].float(), size=x.shape[-1], mode="nearest") > 0  # (B, 1, L)
        # Quantiles, because the few covered pixels at the floor would dominate moments.
        known = x.transpose(0, 1).flatten(1)[:, mask.flatten().nonzero()[:, 0]]
        low, middle, high = _quantiles(known)
        std = (high - low) / 2
        overall = (x.var(dim=(0, 2), unbiased=False) + norm.eps).sqrt()
        std = torch.maximum(std, 1e-3 * overall)
        norm.weight.copy_(overall / std)
        offset = _FIRST_OFFSET if norm is network.first_conv.bn else 0.0
        norm.bias.copy_((x.mean(dim=(0, 2)) - middle) / std + offset)

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    hooks = [norm.register_forward_pre_hook(adjust) for norm in norms]
    network.train()
    network(inputs)
    for hook in hooks:
        hook.remove()


def _quantiles(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the 16th, 50th and 84th percentile of each row."""
    ordered = values.sort(dim=1).values
    low, middle, high = (ordered[:, int(share * (values.shape[1] - 1))] for share in (0.16, 0.5, 0.84))
    return low, middle, high


@torch.no_grad()
def start_vgg(network: nn.Module, inputs: Tensor, covered: Tensor) -> None:
    """Draw weights that keep the variance of their inputs (He et al. 2015), for v2 and v1, which see flux in its unit.

    inputs: (B, 1, pixels), flux. covered: bool (B, pixels), pixels with data. The first kernels divide by the median
    flux of these pixels.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    first = network.get_submodule("conv1")
    assert isinstance(first, nn.Conv1d)
    first.weight /= inputs[:, 0][covered].abs().median().clamp(min=1e-6)
    last = network.get_submodule("fc3")
    assert isinstance(last, nn.Linear)
    last.weight *= _OUTPUT_GAIN
