"""Convolutions for training on CPUs that multiply bf16 numbers: three times as fast as fp32, forwards and backwards.

oneDNN computes the gradient of a 1-d convolution's weights at a fifth of the speed of its other passes. Here that
gradient is one matrix product: with the outputs in groups of 8, the gradient of every tap is a sum over 8 diagonals
of (outputs x 8) by (inputs x (8 + taps - 1)). All three passes then run near the machine's peak. Products multiply
bf16 numbers and are summed in fp32; weights, activations and everything else stay fp32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_GROUP = 8  # outputs per group: 16 bytes of bf16, so that data can be moved as one complex128 per group


class Bf16Convolution(torch.autograd.Function):
    """`conv1d(x, weight, padding=padding)` of float32 tensors, with operands rounded to bf16 in every pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: int) -> Tensor:
        """Convolve (B, C, L) with (O, C, taps) to (B, O, L + 2 padding - taps + 1)."""
        x, weight = x.bfloat16(), weight.bfloat16()
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return functional.conv1d(x, weight, padding=padding).float()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        """Return the gradients of x and weight, float32."""
        x, weight = ctx.saved_tensors
        gradient = gradients[0].bfloat16()
        taps = weight.shape[-1]
        flipped = weight.transpose(0, 1).flip(-1).contiguous()
        of_x = functional.conv1d(gradient, flipped, padding=taps - 1 - ctx.padding)
        return of_x.float(), weight_gradient(x, gradient, taps, ctx.padding), None


def weight_gradient(x: Tensor, gradient: Tensor, taps: int, padding: int) -> Tensor:
    """Return the gradient of a convolution's weights, float32 (O, C, taps).

    x: bf16 (B, C, L). gradient: bf16 (B, O, L_out), of the convolution's output.
    """
    batch, channels, length = x.shape
    outputs, out_length = gradient.shape[1:]
    groups = -(-out_length // _GROUP)
    window_groups = -(-(_GROUP + taps - 1) // _GROUP)
    width = window_groups * _GROUP

    padded = functional.pad(x, (padding, (groups - 1) * _GROUP + width - padding - length))
    windows = padded.view(torch.complex128).unfold(-1, window_groups, 1)  # (B, C, groups, window_groups)
    rows = windows.permute(0, 2, 1, 3).contiguous().view(torch.bfloat16).view(batch * groups, channels * width)

    grouped = functional.pad(gradient, (0, groups * _GROUP - out_length)).view(torch.complex128)  # (B, O, groups)
    columns = grouped.transpose(1, 2).contiguous().view(torch.bfloat16).view(batch * groups, outputs * _GROUP)

    products = (columns.T @ rows).float().view(outputs, _GROUP, channels, width)
    total = products[:, 0, :, :taps].clone()
    for member in range(1, _GROUP):
        total += products[:, member, :, member : member + taps]
    return total


class Bf16Conv1d(nn.Conv1d):
    """A `Conv1d` without bias that multiplies bf16 numbers; its parameters stay float32 and keep their names."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, L) float32 to (B, O, L_out) float32."""
        return Bf16Convolution.apply(x, self.weight, int(self.padding[0]))


def use_bf16_convolutions(network: nn.Module) -> None:
    """Replace, in place, every plain `Conv1d` without bias; the state_dict keeps its keys and values.

    Convolutions with bias are left alone. v3 has one, the first: its input, log flux of 5 to 10, would lose weak lines
    if rounded to bf16.
    """
    for module in list(network.modules()):
        for name, conv in list(module.named_children()):
            if type(conv) is nn.Conv1d and conv.bias is None and _is_plain(conv):
                fast = Bf16Conv1d(
                    conv.in_channels, conv.out_channels, conv.kernel_size[0], padding=conv.padding[0], bias=False
                )
                fast.weight = conv.weight
                setattr(module, name, fast)


def _is_plain(conv: nn.Conv1d) -> bool:
    return (
        conv.stride == (1,)
        and conv.dilation == (1,)
        and conv.groups == 1
        and isinstance(conv.padding, tuple)
        and conv.padding[0] < conv.kernel_size[0]
    )


def default_precision(device: torch.device) -> str:
    """Return "bf16" if the device multiplies bf16 numbers faster than fp32 ones, else "fp32"."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    capabilities = torch.cpu.get_capabilities()
    return "bf16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "fp32"
