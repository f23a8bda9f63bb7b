"""A training run's settings: their checks, and the part of them that decides the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from apnet_fast.engines.base import check_gpu
from apnet_fast.networks.kinds import network_kind
from apnet_fast.recipes import get_recipe
from apnet_fast.spectra import Product
from apnet_fast.support.errors import UsageError
from apnet_fast.train.augment import Augmentation

PRODUCTS: dict[str, tuple[Product, ...]] = {"star": ("star",), "visit": ("visit",), "both": ("star", "visit")}

# These change how a run is computed, not what it computes.
_NOT_IN_FINGERPRINT = ("output", "device", "readers", "workers", "report_draws", "report_spectra", "origin", "trees")


@dataclass(frozen=True)
class TrainSettings:
    """One training run; see `python -m apnet_fast.train --help`.

    trees: folders of apStar files, files, @lists or packs. labels: tables of labels. network: v3, v2 or v1.
    columns: the label tables' names of teff, logg, fe_h, obj and path. model_args: as in a model_args.yaml.
    validation: share of stars held back. warmup: share of all steps. loss_knee: smooth L1 turns from square to
    absolute here, in units of a label's scatter. ema: decay per step of the averaged weights, 0 for no average.
    patience: number of epochs without improvement that ends the run. Raises UsageError for values out of range.
    """

    trees: tuple[str, ...]
    labels: tuple[Path, ...]
    output: Path
    network: str
    columns: Mapping[str, str] = field(default_factory=dict)
    model_args: Mapping[str, Any] = field(default_factory=dict)
    recipe: str | None = None
    products: str = "star"
    augmentation: Augmentation = field(default_factory=Augmentation)
    epochs: int = 50
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.05
    clip: float = 1.0
    ema: float = 0.998
    patience: int = 10
    validation: float = 0.1
    loss_knee: float = 0.1
    seed: int = 0
    precision: str = "fp32"
    device: str = "cpu"
    readers: int = 0
    workers: int = 1
    report_draws: int = 5
    report_spectra: int = 512
    origin: str = ""

    def __post_init__(self) -> None:
        network_kind(self.network)
        get_recipe(self.recipe, self.network)
        checks = (
            ("--kind", self.products, self.products in PRODUCTS, " | ".join(PRODUCTS)),
            ("--epochs", self.epochs, self.epochs >= 1, "1 or more"),
            ("--batch-size", self.batch_size, self.batch_size >= 2, "2 or more (BatchNorm)"),
            ("--learning-rate", self.learning_rate, 0 < self.learning_rate < math.inf, "a positive number"),
            ("--weight-decay", self.weight_decay, 0 <= self.weight_decay < math.inf, "0 or more"),
            ("--warmup", self.warmup, 0 <= self.warmup < 1, "0 to below 1"),
            ("--clip", self.clip, self.clip > 0, "a positive number"),
            ("--ema", self.ema, 0 <= self.ema < 1, "0 to below 1"),
            ("--patience", self.patience, self.patience >= 1, "1 or more"),
            ("--validation", self.validation, 0 < self.validation < 1, "between 0 and 1"),
            ("--loss-knee", self.loss_knee, 0 < self.loss_knee < math.inf, "a positive number"),
            ("--precision", self.precision, self.precision in ("fp32", "bf16"), "fp32 | bf16"),
            ("--seed", self.seed, self.seed >= 0, "0 or more"),
            ("--readers", self.readers, self.readers >= 0, "0 or more"),
            ("--workers", self.workers, self.workers >= 1, "1 or more"),
            ("--report-spectra", self.report_spectra, self.report_spectra >= 1, "1 or more"),
            ("--report-draws", self.report_draws, self.report_draws >= 2, "2 or more (a standard deviation)"),
            ("--noise", self.augmentation.noise, 0 <= self.augmentation.noise < math.inf, "0 or more"),
            ("--drop-segments", self.augmentation.segments, self.augmentation.segments >= 0, "0 or more"),
            ("--segment-pixels", self.augmentation.segment_pixels, self.augmentation.segment_pixels >= 1, "1 or more"),
            ("--drop-pixels", self.augmentation.pixels, 0 <= self.augmentation.pixels < 1, "0 to below 1"),
        )
        for option, got, sound, expected in checks:
            if not sound:
                raise UsageError(f"{option} is out of range", got=got, expected=expected)
        if not self.output.name or self.output.is_dir():
            raise UsageError("--output is a folder", got=str(self.output), expected="a weights file (.safetensors)")
        checked_device(self.device)

    @property
    def folder(self) -> Path:
        """Return the folder of the run's spectra, state, curves and report, beside the weights file."""
        return self.output.with_suffix(".training")

    def fingerprint(self, labels_sha256: Sequence[str], content: str) -> dict[str, Any]:
        """Return all that decides the weights; a run goes on only with the same values.

        content: `cache.content_of` the files.
        """
        values = {key: value for key, value in asdict(self).items() if key not in _NOT_IN_FINGERPRINT}
        # "spectra" is the trees' name in the states of earlier versions, from which a run must be able to go on.
        return {**values, "spectra": list(self.trees), "labels": list(labels_sha256), "content of files": content}

    def rate_at(self, step: int, steps: int) -> float:
        """Return the learning rate of a step (from 0) of `steps`: linear warm-up, then half a cosine down to 1 %."""
        warmup = int(self.warmup * steps)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        progress = (step - warmup) / max(steps - warmup, 1)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def checked_device(name: str) -> torch.device:
    """Return the device of that name; raise UsageError if there is none."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError("unknown device", got=repr(name), expected="cpu, cuda:0, ...") from None
    check_gpu(name)
    return device
