"""The stream that backends stand on: any item, any reader, and nothing kept."""

from __future__ import annotations

import weakref
from itertools import islice

import numpy as np
import pytest

from apnet_fast.api import ApogeeNet
from apnet_fast.backends.stream import Spectrum, label_stream
from apnet_fast.networks.checkpoint import Checkpoint
from tests.backends.spectra import network


@pytest.fixture
def net(small_checkpoint: Checkpoint) -> ApogeeNet:
    """A network that takes no time."""
    return network(small_checkpoint, engine="null", recipe="dr19")


class Own:
    """A third builder's spectrum."""


def read(item: Own) -> Spectrum:
    return Spectrum(np.ones(8575), np.ones(8575), "own")


def test_items_are_forgotten_once_given(net: ApogeeNet) -> None:
    alive: list[weakref.ref[Own]] = []

    def items() -> object:
        for _ in range(40):
            item = Own()
            alive.append(weakref.ref(item))
            yield item
            del item

    most = 0
    for result in label_stream(net, items(), read, batch_size=4):  # type: ignore[arg-type, type-var]
        del result
        most = max(most, sum(each() is not None for each in alive))
    assert len(alive) == 40
    assert most <= 5


def test_why_there_is_no_result(net: ApogeeNet) -> None:
    def fragile(item: str) -> Spectrum:
        flux = np.full(8575, np.nan) if item == "empty" else np.ones(int(item))
        return Spectrum(flux, np.ones(8575), item)

    results = list(label_stream(net, ["8575", "empty", "100", "x"], fragile))
    assert [result.item for result in results] == ["8575", "empty", "100", "x"]
    good, empty, short, wrong = (result.failure for result in results)
    assert good == ""
    assert empty == "no pixel with data"
    assert "(100,)" in short
    assert wrong.startswith("ValueError: invalid literal")
    assert [bool(np.isnan(result.labels["teff"])) for result in results] == [False, True, True, True]


def test_interrupts_are_not_swallowed(net: ApogeeNet) -> None:
    def interrupted(item: int) -> Spectrum:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(label_stream(net, [1], interrupted))


def test_a_failing_engine_ends_the_stream(net: ApogeeNet, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that is gone must not turn into a million flagged rows."""

    def gone(*given: object) -> object:
        raise RuntimeError("CUDA error")

    monkeypatch.setattr(net.engine, "predict", gone)
    with pytest.raises(RuntimeError, match="CUDA error"):
        list(islice(label_stream(net, [Own()], read), 1))
