"""Run a training: epochs until the schedule or patience ends, a state from which to go on, a report at the end."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from apnet_fast._version import __version__
from apnet_fast.inputs.label_tables import load_labels
from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.networks.checkpoint import SIMULATED, Checkpoint, load_checkpoint
from apnet_fast.networks.kinds import network_kind
from apnet_fast.networks.scaling import LabelScaling
from apnet_fast.recipes import get_recipe
from apnet_fast.recipes.labels import LABELS
from apnet_fast.support.attempts import remove_stale_attempts
from apnet_fast.support.errors import Stopped, UsageError
from apnet_fast.support.files import sha256_of, write_json, written_whole
from apnet_fast.support.forks import in_a_sound_thread
from apnet_fast.support.lock import locked
from apnet_fast.support.ownership import check_ours
from apnet_fast.support.progress import say
from apnet_fast.support.regular_files import opened_regular
from apnet_fast.support.stopping import StopRequest
from apnet_fast.train.batches import Batches, Split, split_by_star
from apnet_fast.train.cache import CACHE_FILES, SpectrumCache, content_of, flux_range, is_cache, open_or_fill
from apnet_fast.train.learner import Learner
from apnet_fast.train.memory import keep_freed_memory
from apnet_fast.train.networks import fresh_network, label_targets, scaling_of
from apnet_fast.train.settings import PRODUCTS, TrainSettings
from apnet_fast.validate.recovery import Recovery, recovery, recovery_lines

STATE_FILE, CURVES_FILE, REPORT_FILE = "state.pt", "curves.json", "report.json"

_FILES = frozenset({*CACHE_FILES, STATE_FILE, CURVES_FILE, REPORT_FILE})
_SECONDS_BETWEEN_SAVES = 300.0
_SECONDS_BETWEEN_LINES = 30.0


@dataclass
class _Progress:
    """How far a run is: its next step, the sum of the current epoch's losses, and the best epoch so far."""

    step: int = 0
    epoch_loss: float = 0.0
    best_loss: float = float("inf")
    best_epoch: int = -1
    curves: list[dict[str, float]] | None = None


def train(settings: TrainSettings, *, restart: bool = False) -> list[Recovery]:
    """Train a network; write the weights of its best epoch; return how well they recover the held-back stars.

    restart: discard earlier training in this output.

    The folder beside the weights file (`settings.folder`) keeps the spectra, the state, curves.json and report.json.
    With the same settings, a stopped run goes on. On the same machine and number of threads it ends with the same bytes
    as an uninterrupted run.

    Raises UsageError for settings, labels or spectra that cannot be used, or another run's folder; Stopped on a signal.
    """
    keep_freed_memory()
    settings.folder.mkdir(parents=True, exist_ok=True)
    _check_ours(settings.folder)
    with StopRequest("step") as stop, locked(settings.folder, on_loss=stop.request):
        _check_ours(settings.folder)
        remove_stale_attempts(settings.folder, _FILES.__contains__)
        return in_a_sound_thread(lambda: _Run(settings, restart).finish(stop))


def _check_ours(folder: Path) -> None:
    """Raise UsageError if a file in the folder would be overwritten and neither cache nor state is a training's."""
    check_ours(folder, _FILES, is_cache(folder) or _load_state(folder / STATE_FILE) is not None, "the training")


def _load_state(path: Path) -> Mapping[str, Any] | None:
    """Return the state of a training; None if there is none, or something else."""
    try:
        with opened_regular(path) as file:
            state = torch.load(file, weights_only=True)
    except Exception:  # noqa: BLE001 - torch raises almost anything for files that are not its own
        return None
    whole = isinstance(state, dict) and {"fingerprint", "learner", "progress"} <= state.keys()
    return state if whole and isinstance(state["fingerprint"], str) else None


class _Run:
    def __init__(self, settings: TrainSettings, restart: bool) -> None:
        self.settings = settings
        self.kind = network_kind(settings.network)
        self.architecture = self.kind.architecture_from(settings.model_args, "model arguments")
        self.recipe = get_recipe(settings.recipe, settings.network)
        labels = load_labels(settings.labels, settings.columns)
        if labels.repeated:
            say(f"{labels.repeated} stars have several rows in the label table: if no path matches, the first counts")
        inputs, products = resolve_inputs(settings.trees), PRODUCTS[settings.products]
        content = content_of(inputs, products, labels, settings.columns)
        self.fingerprint = json.dumps(settings.fingerprint(labels.sha256, content), sort_keys=True, default=str)
        if restart:
            (settings.folder / STATE_FILE).unlink(missing_ok=True)
        saved = self._saved_state()
        self.cache: SpectrumCache = open_or_fill(
            settings.folder, inputs.files, products, labels, content, settings.readers
        )
        self.split: Split = split_by_star(self.cache.stars, settings.validation, settings.seed)
        self._check_split()
        targets = label_targets(self.cache.labels, self.kind.scaling.names)
        self.scaling: LabelScaling = scaling_of(targets[self.split.training], self.kind.scaling.names)
        scaled = (targets - self.scaling.mean) / self.scaling.std
        self.batches = Batches(
            self.cache,
            self.split,
            torch.from_numpy(scaled.astype(np.float32)),
            recipe=self.recipe,
            augmentation=settings.augmentation,
            batch_size=settings.batch_size,
            seed=settings.seed,
            workers=settings.workers,
        )
        self.learner = Learner(
            fresh_network(self.kind, self.architecture, settings.seed, *self.batches.first()),
            device=settings.device,
            precision=settings.precision,
            weight_decay=settings.weight_decay,
            clip=settings.clip,
            knee=settings.loss_knee,
            ema=settings.ema,
        )
        self.at = _Progress(curves=[])
        if saved is not None:
            self.learner.restore(saved["learner"])
            self.at = _Progress(**saved["progress"])
            say(f"going on at step {self.at.step} of {self.steps}")

    @property
    def steps(self) -> int:
        return self.settings.epochs * self.batches.steps

    def _saved_state(self) -> Mapping[str, Any] | None:
        path = self.settings.folder / STATE_FILE
        if not os.path.lexists(path):
            return None
        state = _load_state(path)
        if state is None:
            raise UsageError(
                "the state of the training cannot be read",
                got=str(path),
                remedy="give --restart to train from the beginning",
            )
        if state["fingerprint"] != self.fingerprint:
            then, now = json.loads(state["fingerprint"]), json.loads(self.fingerprint)
            changed = [key for key in now if then.get(key) != now[key]]
            raise UsageError(
                "the output belongs to another training run",
                got=", ".join(f"{key} {now[key]}" for key in changed),
                expected=", ".join(f"{key} {then.get(key)}" for key in changed),
                remedy="give the settings of that run, another --output, or --restart",
                where=str(self.settings.folder),
            )
        return state

    def _check_split(self) -> None:
        if len(self.split.training) < 2 or not len(self.split.validation):
            raise UsageError(
                "too few stars to train on some and validate on others",
                got=f"{len(self.split.training)} and {len(self.split.validation)} spectra",
                expected="at least 2, and at least 1",
                remedy="give more stars, or another --validation or --seed",
            )

    def finish(self, stop: StopRequest) -> list[Recovery]:
        """Run on to the end."""
        stars = {self.cache.stars[row] for row in self.split.validation}
        say(
            f"{len(self.split.training)} spectra to train on, {len(self.split.validation)} of {len(stars)} other stars"
            f" to validate on; {self.settings.epochs} epochs of {self.batches.steps} steps of"
            f" {self.settings.batch_size}, {self.settings.precision} on {self.settings.device}"
        )
        while self.at.step < self.steps:
            epoch = self.at.step // self.batches.steps
            if epoch - self.at.best_epoch > self.settings.patience and self.at.best_epoch >= 0:
                say(f"no improvement in {self.settings.patience} epochs: done")
                break
            self._epoch(epoch, stop)
        return self._report()

    def _epoch(self, epoch: int, stop: StopRequest) -> None:
        began = last_line = last_save = time.monotonic()
        first = self.at.step % self.batches.steps
        for inputs, targets in self.batches.training(epoch, first):
            rate = self.settings.rate_at(self.at.step, self.steps)
            loss = self.learner.step(inputs, targets, rate)
            if not np.isfinite(loss):
                raise UsageError(
                    f"the loss is not finite at step {self.at.step}", got=loss, remedy="give a lower --learning-rate"
                )
            self.at.epoch_loss += loss
            self.at.step += 1
            done = self.at.step - epoch * self.batches.steps
            now = time.monotonic()
            if now - last_line > _SECONDS_BETWEEN_LINES:
                last_line = now
                speed = (done - first) * self.settings.batch_size / (now - began)
                left = (self.steps - self.at.step) * self.settings.batch_size / speed
                say(
                    f"epoch {epoch + 1}/{self.settings.epochs}, step {done}/{self.batches.steps}, loss"
                    f" {self.at.epoch_loss / done:.4f}, {speed:.1f} spectra/s, {left / 60:.0f} min left"
                )
            if stop.requested or now - last_save > _SECONDS_BETWEEN_SAVES:
                last_save = now
                self._save()
                stop.check()
        self._end_epoch(epoch, time.monotonic() - began)

    def _end_epoch(self, epoch: int, seconds: float) -> None:
        loss, outputs = self.learner.evaluate(self.batches.validation())
        scatter = self._scatter(outputs.numpy().astype(np.float64))
        assert self.at.curves is not None
        self.at.curves.append(
            {
                "epoch": epoch + 1,
                "step": self.at.step,
                "learning_rate": self.settings.rate_at(self.at.step - 1, self.steps),
                "training_loss": self.at.epoch_loss / self.batches.steps,
                "validation_loss": loss,
                **{f"scatter_{name}": value for name, value in zip(self.scaling.names, scatter, strict=True)},
                "seconds": round(seconds, 1),
            }
        )
        spread = ", ".join(f"{name} {value:.3f}" for name, value in zip(self.scaling.names, scatter, strict=True))
        say(
            f"epoch {epoch + 1}/{self.settings.epochs}: loss {self.at.epoch_loss / self.batches.steps:.4f},"
            f" validation {loss:.4f}, robust scatter of one draw: {spread}"
        )
        self.at.epoch_loss = 0.0
        if loss < self.at.best_loss:
            self.at.best_loss, self.at.best_epoch = loss, epoch
            origin = self.settings.origin or "trained"
            Checkpoint(
                self.kind.name,
                self.architecture,
                self.scaling,
                self.learner.weights(),
                f"{origin} [apnet_fast {__version__}, {len(self.split.training)} spectra, seed {self.settings.seed}]",
                flux_range=flux_range(self.cache),
                trained_on=SIMULATED if self.cache.simulated else "",
            ).save(self.settings.output)
        # Saved after the weights: a run killed in between repeats its last steps and writes the same weights again.
        self._save()
        write_json(self.settings.folder / CURVES_FILE, {"epochs": self.at.curves})

    def _scatter(self, outputs: NDArray[np.float64]) -> list[float]:
        """Return half the 16-84 % range of recovered - true for each label of the network, in its unit."""
        true = label_targets(self.cache.labels[self.split.validation], self.scaling.names)
        off = outputs * self.scaling.std + self.scaling.mean - true
        known = [column[np.isfinite(column)] for column in off.T]
        ranges = [np.percentile(column, [16, 84]) if len(column) else np.full(2, np.nan) for column in known]
        return [float(high - low) / 2 for low, high in ranges]

    def _save(self) -> None:
        with written_whole(self.settings.folder / STATE_FILE) as partial:
            torch.save(
                {
                    "fingerprint": self.fingerprint,
                    "learner": self.learner.state(),
                    "progress": vars(self.at),
                },
                partial,
            )

    def _report(self) -> list[Recovery]:
        """Measure recovery on held-back spectra, with the engine and recipe that would make a catalogue."""
        from apnet_fast.api import ApogeeNet

        if not self.settings.output.exists():
            raise Stopped("no epoch has ended yet", remedy="give the same command again to go on")
        best = load_checkpoint(self.settings.output)
        rows = self.split.validation[: self.settings.report_spectra]
        spectra = self.cache.spectra[rows]
        net = ApogeeNet.load(self.settings.output, recipe=self.settings.recipe, device=self.settings.device)
        found = net.submit_labels(
            spectra[:, 0],
            spectra[:, 1],
            [self.cache.ids[row] for row in rows],
            draws=self.settings.report_draws,
            seed=self.settings.seed,
            usable=np.ones(len(rows), dtype=bool),
            photometry=self.cache.photometry[rows],
        )()
        recovered = np.stack([getattr(found, name) for name in LABELS], axis=1).astype(np.float64)
        errors = np.stack([getattr(found, f"raw_e_{name}") for name in LABELS], axis=1).astype(np.float64)
        table = recovery(recovered, errors, self.cache.labels[rows], self.cache.snr[rows])
        write_json(
            self.settings.folder / REPORT_FILE,
            {
                "weights": best.sha256,
                "best_epoch": self.at.best_epoch + 1,
                "spectra": len(rows),
                "draws": self.settings.report_draws,
                "recovery": [row.as_dict() for row in table],
            },
        )
        say(f"{self.settings.output}: epoch {self.at.best_epoch + 1}, sha256 {sha256_of(self.settings.output)}")
        for line in recovery_lines(table):
            say(line)
        return table
