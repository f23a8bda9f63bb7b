"""The kernels' twins in plain torch: what each kernel computes, to read alone and to test against.

Activations are channels last: (rows, positions, channels).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def naive_stem(log_flux: Tensor, weight: Tensor, bias_map: Tensor) -> Tensor:
    """Turn processed spectra into first activations: conv, bias map, ELU, max-pool by 2.

    log_flux: (rows, pixels). weight: (4, taps), the flux channel's. bias_map: (4, pixels + 1). Returns
    (rows, (pixels + 1) // 2, 4).
    """
    x = functional.conv1d(log_flux[:, None], weight[:, None], padding=weight.shape[-1] // 2) + bias_map
    return functional.max_pool1d(functional.elu(x), 2).transpose(1, 2)


def naive_sums(
    x: Tensor, weight: Tensor, bias: Tensor | None, pad: int, length: int, residual: Tensor | None = None
) -> Tensor:
    """Return conv(x) + bias + residual, (rows, length, C_out), in the type of the weight.

    x: (rows, positions, C_in). weight: (C_out, C_in, taps). bias: (C_out,). pad: zeros before the first position.
    residual: (rows, length, C), its channels added to the middle ones.
    """
    x = x.to(weight.dtype).transpose(1, 2)
    taps = weight.shape[-1]
    right = length - 1 + taps - pad - x.shape[-1]
    y = functional.conv1d(functional.pad(x, (pad, right)), weight, bias)
    if residual is not None:
        before = (y.shape[1] - residual.shape[-1]) // 2
        y[:, before : before + residual.shape[-1]] += residual.to(weight.dtype).transpose(1, 2)
    return y.transpose(1, 2)


def naive_elu_difference(z: Tensor, dz: Tensor) -> Tensor:
    """Return ELU(z + dz) - ELU(z), exact if both are positive."""
    moved = z + dz
    curved = functional.elu(moved) - functional.elu(z)
    return dz.where((z > 0) & (moved > 0), curved)


def naive_pool(x: Tensor, pooled: int) -> Tensor:
    """Average (rows, positions, C) adaptively over positions to (rows, pooled * C), position-major, float32.

    Definition: torch.nn.AdaptiveAvgPool1d.
    """
    mean = functional.adaptive_avg_pool1d(x.transpose(1, 2).float(), pooled)
    return mean.transpose(1, 2).flatten(1)
