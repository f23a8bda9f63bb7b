"""Ways to run ApogeeNet v3 on a CPU that all compute the same: recipe dr19, clean pass and draws, fp32, noise included.

A contender takes cleaned flux and error (n, 8575), float32, and a number of draws, and returns network outputs
(n, 1 + draws, 3), the clean spectrum's first. `check` compares the clean outputs, which have no noise, before anything
is timed.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from apnet_fast.engines.cpu import CpuEngine
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.recipes import RECIPES
from apnet_fast.recipes.noise import noise_keys
from apnet_fast.support.grid import PIXELS
from benchmarks.rivals import Batched, preprocessed, upstream_loop

Contender = Callable[[NDArray[np.float32], NDArray[np.float32], int], NDArray[np.float32]]

OURS, UPSTREAM, OPENVINO = "apnet_fast cpu", "upstream loop", "OpenVINO"
NAMES = (OURS, UPSTREAM, "torch eager, batched", "torch.compile, batched", OPENVINO, "ONNX Runtime")
_TOLERANCE = 1e-3


def contenders(checkpoint: Checkpoint, draws: int, names: list[str] | None = None) -> dict[str, Contender]:
    """Return the contenders by name, ready to call. Those whose library is not installed are left out."""
    makers: dict[str, Callable[[Checkpoint, int], Contender] | None] = {
        OURS: _ours,
        UPSTREAM: _upstream,
        "torch eager, batched": _eager,
        "torch.compile, batched": _compiled,
        OPENVINO: _openvino if find_spec("openvino") else None,
        "ONNX Runtime": _onnxruntime if find_spec("onnxruntime") and find_spec("onnx") else None,
    }
    chosen = {name: maker for name, maker in makers.items() if maker and (names is None or name in names)}
    return {name: maker(checkpoint, draws) for name, maker in chosen.items()}


def check(all_of_them: dict[str, Contender], flux: NDArray[np.float32], error: NDArray[np.float32], draws: int) -> None:
    """Compare every contender's clean outputs with the engine's.

    Raises ValueError that names a contender which differs by 1e-3 or more. The tests hold the engine itself to float64.
    """
    expected = all_of_them[OURS](flux, error, draws)
    for name, run in all_of_them.items():
        got = run(flux, error, draws)
        off = np.abs(got[:, 0] - expected[:, 0]).max() if got.shape == expected.shape else np.inf
        if not off < _TOLERANCE:
            raise ValueError(f"{name} computes something else: {got.shape}, clean outputs off by {off}")


def _ours(checkpoint: Checkpoint, draws: int) -> Contender:
    engine = CpuEngine(checkpoint, RECIPES["dr19"])
    mean, std = (np.asarray(values, np.float32) for values in (checkpoint.scaling.mean, checkpoint.scaling.std))

    def run(flux: NDArray[np.float32], error: NDArray[np.float32], draws: int) -> NDArray[np.float32]:
        found = engine.predict(flux, error, noise_keys(0, map(str, range(len(flux)))), draws)
        return (np.concatenate([found.clean[:, None], found.draws], axis=1) - mean) / std

    return run


def _upstream(checkpoint: Checkpoint, draws: int) -> Contender:
    loop = upstream_loop(checkpoint, torch.device("cpu"))
    return lambda flux, error, draws: np.stack([loop(f, e, draws).numpy() for f, e in zip(flux, error, strict=True)])


def _eager(checkpoint: Checkpoint, draws: int) -> Contender:
    network = Batched(checkpoint, PIXELS, torch.float32)
    return lambda flux, error, draws: _spectra_by_spectrum(network.network, flux, error, draws)


def _compiled(checkpoint: Checkpoint, draws: int) -> Contender:
    network = torch.compile(Batched(checkpoint, PIXELS, torch.float32).network)
    return lambda flux, error, draws: _spectra_by_spectrum(network, flux, error, draws)


def _openvino(checkpoint: Checkpoint, draws: int) -> Contender:
    import openvino

    module, example = checkpoint.module(), torch.zeros(1 + draws, 1, PIXELS)
    model = openvino.convert_model(module, example_input=example, input=[example.shape])
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    compiled = openvino.compile_model(model, "CPU", settings)
    return lambda flux, error, draws: _spectra_by_spectrum(
        lambda x: torch.from_numpy(compiled(x[:, None].numpy())[0]), flux, error, draws
    )


def _onnxruntime(checkpoint: Checkpoint, draws: int) -> Contender:
    import onnxruntime

    module, file = checkpoint.module(), io.BytesIO()
    module.pool = _GroupedPool(checkpoint)
    torch.onnx.export(module, (torch.zeros(1 + draws, 1, PIXELS),), file, input_names=["x"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    return lambda flux, error, draws: _spectra_by_spectrum(
        lambda x: torch.from_numpy(session.run(None, {"x": x[:, None].numpy()})[0]), flux, error, draws
    )


class _GroupedPool(nn.Module):
    """Adaptive pooling as a small matrix product: ONNX lacks windows of unequal length, but their pattern repeats."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        length, pooled = (PIXELS + 1) // 2, checkpoint.architecture.adapt_pool_output_dim
        groups = math.gcd(length, pooled)
        self.inputs, self.outputs = length // groups, pooled // groups
        self.matrix = functional.adaptive_avg_pool1d(torch.eye(self.inputs), self.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Pool (B, C, length) to (B, C, pooled)."""
        return (x.unflatten(2, (-1, self.inputs)) @ self.matrix).flatten(2)


@torch.inference_mode()
def _spectra_by_spectrum(
    network: nn.Module | Callable[[Tensor], Tensor], flux: NDArray[np.float32], error: NDArray[np.float32], draws: int
) -> NDArray[np.float32]:
    """Run each spectrum's rows as one batch: none of the rivals is faster per row with more than 21."""
    rows = (preprocessed(*(torch.from_numpy(x[i : i + 1]) for x in (flux, error)), draws) for i in range(len(flux)))
    return np.stack([network(x).numpy() for x in rows])
