"""Train one network step by step: its optimiser, averaged weights and loss, and the state from which it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from apnet_fast.train.batches import Batch
from apnet_fast.train.convolution import use_bf16_convolutions

_INPUTS_AT_FULL_RATE = 128


def masked_loss(outputs: Tensor, targets: Tensor, knee: float) -> Tensor:
    """Return the mean smooth L1 loss of scaled labels (B, 3) over known ones; NaN targets have no loss or gradient.

    The loss is square below `knee` and absolute above. So spectra that do not show a label (metallicities of hot stars)
    do not outweigh the others, and the bulk, which a robust scatter measures, is fitted as by its median.
    """
    known = ~torch.isnan(targets)
    losses = functional.smooth_l1_loss(outputs, torch.where(known, targets, 0.0), reduction="none", beta=knee)
    return torch.where(known, losses, 0.0).sum() / known.sum().clamp(min=1)


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Group parameters for AdamW; each group has one `weight_decay` and one `share` of the learning rate.

    Adam moves every weight by the rate, whatever its gradient. Pooled features are positive and vary together, so in a
    layer of thousands of inputs those moves add up: a few steps would push every ReLU to one side for good. A linear
    layer's rate is therefore a share that is inverse to its number of inputs (Yang et al. 2022, "Tensor Programs V").
    Biases and BatchNorm's scales do not decay.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for module in network.modules():
        for parameter in module.parameters(recurse=False):
            wide = isinstance(module, nn.Linear) and parameter.ndim > 1
            share = min(1.0, _INPUTS_AT_FULL_RATE / parameter.shape[1]) if wide else 1.0
            groups.setdefault((weight_decay if parameter.ndim > 1 else 0.0, share), []).append(parameter)
    return [{"params": group, "weight_decay": decay, "share": share} for (decay, share), group in groups.items()]


class Learner:
    """A network, AdamW on its float32 weights, and their exponential average, which is what is used later."""

    def __init__(
        self,
        network: nn.Module,
        *,
        device: str,
        precision: str,
        weight_decay: float,
        clip: float,
        knee: float,
        ema: float,
    ) -> None:
        if precision == "bf16":
            use_bf16_convolutions(network)
        self.network = network.to(device)
        self._device = torch.device(device)
        self._clip, self._knee, self._ema = clip, knee, ema
        self._optimizer = torch.optim.AdamW(parameter_groups(self.network, weight_decay), lr=0.0, betas=(0.9, 0.99))
        self._averaged = {key: value.clone() for key, value in self.network.state_dict().items()}
        self._updates = 0

    def step(self, inputs: Sequence[Tensor], targets: Tensor, rate: float) -> float:
        """Update the weights once at learning rate `rate`; return the loss before the update."""
        self.network.train()
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self._optimizer.zero_grad(set_to_none=True)
        loss = masked_loss(self._outputs(inputs), targets.to(self._device), self._knee)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self._clip)
        self._optimizer.step()
        self._average()
        return loss.item()

    def _outputs(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.network(*(values.to(self._device) for values in inputs))

    @torch.no_grad()
    def _average(self) -> None:
        self._updates += 1
        # A young average forgets faster; otherwise it would remember the random initial weights for long.
        decay = min(self._ema, self._updates / (self._updates + 10))
        for key, value in self.network.state_dict().items():
            if value.is_floating_point():
                self._averaged[key].lerp_(value, 1 - decay)
            else:
                self._averaged[key].copy_(value)

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Batch]) -> tuple[float, Tensor]:
        """Return the averaged weights' mean loss and outputs (n, 3) on batches of inputs and targets."""
        current = {key: value.clone() for key, value in self.network.state_dict().items()}
        self.network.load_state_dict(self._averaged)
        self.network.eval()
        outputs, targets = [], []
        for batch, wanted in batches:
            outputs.append(self._outputs(batch).cpu())
            targets.append(wanted)
        self.network.load_state_dict(current)
        together = torch.cat(outputs)
        return float(masked_loss(together, torch.cat(targets), self._knee)), together

    def weights(self) -> dict[str, Tensor]:
        """Return the averaged weights, on the CPU."""
        return {key: value.cpu() for key, value in self._averaged.items()}

    def state(self) -> dict[str, Any]:
        """Return everything on which the next step depends."""
        return {
            "network": self.network.state_dict(),
            "averaged": self._averaged,
            "optimizer": self._optimizer.state_dict(),
            "updates": self._updates,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a state that `state` returned."""
        self.network.load_state_dict(state["network"])
        self._averaged = {key: value.to(self._device) for key, value in state["averaged"].items()}
        self._optimizer.load_state_dict(state["optimizer"])
        self._updates = state["updates"]
