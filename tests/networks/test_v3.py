"""v3 reads like its description: sizes, keys, paddings, the position channel."""

from __future__ import annotations

import torch
from torch.nn import functional

from apnet_fast.networks.v3 import ApogeeNetV3, ArchitectureV3, ResidualBlock, position_channel


def full_on_meta() -> ApogeeNetV3:
    with torch.device("meta"):
        return ApogeeNetV3()


def test_keys_and_shapes_of_the_upstream_checkpoint() -> None:
    state = full_on_meta().state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    assert len(shapes) == 69  # upstream's 70 less the constant pos_enc.inv_freq
    assert shapes["first_conv.conv_layer.weight"] == (4, 2, 30)
    assert shapes["first_conv.bn.running_var"] == (4,)
    for i, (c_in, c_out) in enumerate([(4, 8), (8, 16), (16, 32), (32, 64)]):
        assert shapes[f"res_blocks.{i}.conv1.weight"] == (c_out, c_in, 30)
        assert shapes[f"res_blocks.{i}.conv2.weight"] == (c_out, c_out, 30)
        assert shapes[f"res_blocks.{i}.bn2.num_batches_tracked"] == ()
        assert f"res_blocks.{i}.conv1.bias" not in shapes
    assert shapes["linear_sequential.0.linear_layer.weight"] == (1024, 65536)
    assert shapes["linear_sequential.5.linear_layer.bias"] == (1024,)
    assert shapes["linear_sequential.6.weight"] == (3, 1024)


def test_number_of_parameters() -> None:
    assert sum(p.numel() for p in full_on_meta().parameters()) == 72_606_495


def test_lengths_through_the_network() -> None:
    network = full_on_meta()
    lengths = []
    for block in network.res_blocks:
        block.conv1.register_forward_hook(lambda module, given, out: lengths.append(out.shape[-1]))
        block.conv2.register_forward_hook(lambda module, given, out: lengths.append(out.shape[-1]))
    out = network(torch.empty(2, 1, 8575, device="meta"))
    assert out.shape == (2, 3)
    assert lengths == [4289, 4288] * 4


def test_position_channel_is_the_float32_sine_in_any_precision() -> None:
    expected = torch.sin(torch.arange(8575, dtype=torch.float32))
    for dtype in (torch.float32, torch.float64):
        channel = position_channel(torch.zeros(2, 1, 8575, dtype=dtype))
        assert channel.dtype == dtype
        assert torch.equal(channel[1, 0], expected.to(dtype))
    assert not torch.equal(channel[1, 0], torch.sin(torch.arange(8575, dtype=torch.float64)))


def test_residual_is_padded_in_the_middle_of_the_channels() -> None:
    block = ResidualBlock(4, 8, 30).eval()
    torch.nn.init.zeros_(block.conv2.weight)
    x = torch.rand(1, 4, 50)
    with torch.inference_mode():
        y = block(x)
    assert torch.allclose(y[:, 2:6], functional.elu(x))
    assert torch.equal(y[:, :2], torch.zeros(1, 2, 50))
    assert torch.equal(y[:, 6:], torch.zeros(1, 2, 50))


def test_second_input_channel_matters() -> None:
    torch.manual_seed(0)  # with some weights every ReLU of so small a network is shut
    network = ApogeeNetV3(ArchitectureV3(dim_mults=(1, 2), adapt_pool_output_dim=16, linear_dim=8)).eval()
    x = torch.rand(1, 1, 300)
    with torch.inference_mode():
        with_position = network(x)
        network.first_conv.conv_layer.weight[:, 1].zero_()
        without = network(x)
    assert not torch.allclose(with_position, without)


def test_small_architectures_build_and_run() -> None:
    network = ApogeeNetV3(ArchitectureV3(dim_mults=(1, 2, 2), adapt_pool_output_dim=32, linear_dim=8)).eval()
    assert network(torch.rand(3, 1, 8575)).shape == (3, 3)
    assert network.architecture.channels == (4, 8, 8)
