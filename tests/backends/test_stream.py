"""The stream that backends stand on: any item, any reader, and nothing kept."""

from __future__ import annotations

import logging
import warnings
import weakref
from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from apnet_fast.api import ApogeeNet
from apnet_fast.backends import arrays
from apnet_fast.backends.astra import apogeenet
from apnet_fast.backends.stream import Spectrum, label_stream
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.support.errors import FluxWarning, UsageError, WeightsWarning
from tests.backends.spectra import network
from tests.engines.battery import ordinary_spectra


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

    monkeypatch.setattr(net.engine, "submit", gone)
    with pytest.raises(RuntimeError, match="CUDA error"):
        list(islice(label_stream(net, [Own()], read), 1))


@pytest.fixture
def looking(small_checkpoint: Checkpoint) -> ApogeeNet:
    """A small network that looks at its spectra."""
    return network(small_checkpoint, recipe="dr19")


def spectra(scales: list[float]) -> list[Spectrum]:
    """Spectra of one star, each on another scale."""
    (flux,), (error,) = ordinary_spectra(np.random.default_rng(0), 1)
    return [Spectrum(flux * scale, error * scale, number) for number, scale in enumerate(scales)]


def test_a_stream_warns_once_of_flux_and_logs_the_numbers_at_its_end(
    looking: ApogeeNet, caplog: pytest.LogCaptureFixture
) -> None:
    given = spectra([1, 1, 1e-17, 1, 1e-17, 1e-17])
    with caplog.at_level(logging.WARNING), pytest.warns(FluxWarning) as caught:
        labels = list(label_stream(looking, given, lambda spectrum: spectrum, draws=2, batch_size=2))
    assert len(labels) == 6
    assert len(caught) == 1
    assert "1 of 4 spectra have a median flux outside" in str(caught[0].message)
    assert "3 of 6 spectra have a median flux outside" in caplog.text


def test_a_stream_of_plausible_spectra_warns_of_nothing(looking: ApogeeNet, caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(label_stream(looking, spectra([1, 1]), lambda spectrum: spectrum, draws=2))
    assert not caplog.records


def test_negative_errors_make_a_failure(looking: ApogeeNet) -> None:
    given = spectra([1, 1, 1])
    np.asarray(given[1].error)[40] = -1
    results = list(label_stream(looking, given, lambda spectrum: spectrum, draws=2))
    assert [bool(result.failure) for result in results] == [False, True, False]
    assert "errors are negative; got 1 pixels, the first ones in spectrum 1" in results[1].failure
    assert np.isnan(results[1].labels["teff"])


def test_units_are_converted_and_others_end_the_stream(looking: ApogeeNet) -> None:
    units = pytest.importorskip("astropy.units")
    ours = units.Unit("1e-17 erg / (s cm2 Angstrom)")
    (plain,) = spectra([1])
    quantity = replace(plain, flux=plain.flux * ours, error=plain.error * ours)  # type: ignore[operator]
    (got,), (expected,) = (
        list(label_stream(looking, [given], lambda spectrum: spectrum, draws=2)) for given in (quantity, plain)
    )
    assert got.labels == expected.labels
    wrong = replace(plain, flux=plain.flux * units.Jy, error=plain.error * units.Jy)  # type: ignore[operator]
    # A fault of the caller's code: a million flagged rows would hide it.
    with pytest.raises(UsageError, match="flux is in another unit; got Jy"):
        list(label_stream(looking, [plain, wrong], lambda spectrum: spectrum, draws=2))


def test_weights_for_simulated_spectra_warn_once_a_stream(small_checkpoint: Checkpoint) -> None:
    net = network(replace(small_checkpoint, trained_on="simulated"), recipe="dr19")
    given = spectra([1, 1, 1])
    with pytest.warns(WeightsWarning) as caught:
        flagged = list(label_stream(net, given, lambda spectrum: spectrum, draws=2, batch_size=1))
    assert len(caught) == 1
    assert all(result.labels["result_flags"] & 1024 for result in flagged)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = list(label_stream(net, given, lambda spectrum: spectrum, draws=2, simulated=True))
    assert not any(result.labels["result_flags"] & 1024 for result in plain)


def batches_of(net: ApogeeNet, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the sizes of the batches that the engine of a network gets."""
    sizes: list[int] = []
    right = net.predict_and_count

    def noted(flux: np.ndarray, *given: object, **options: object) -> object:
        sizes.append(len(flux))
        return right(flux, *given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(net, "predict_and_count", noted)
    return sizes


@pytest.mark.parametrize(("wanted", "sizes"), [(None, [64, 64, 22]), (100, [100, 50]), (150, [150])])
def test_an_engine_gets_batches_of_the_size_that_it_wants(
    wanted: int | None, sizes: list[int], small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(small_checkpoint, engine="null", recipe="dr19")
    asked: list[int] = []

    def preferred(draws: int) -> int | None:
        asked.append(draws)
        return wanted

    monkeypatch.setattr(net.engine, "preferred_batch", preferred)
    got = batches_of(net, monkeypatch)
    ones = np.ones((150, 8575), np.float32)
    stars = [SimpleNamespace(spectrum_pk=i, source_pk=i, flux=ones[i], ivar=ones[i]) for i in range(150)]
    for ask in (
        lambda: list(label_stream(net, [Own()] * 150, read, draws=3)),
        lambda: arrays.predict(net, ones, ones, draws=3),
        lambda: list(arrays.stream(net, zip(ones, ones, range(150), strict=True), draws=3)),
        lambda: list(arrays.stream_chunks(net, [(ones, ones, range(150))], draws=3)),
        lambda: list(apogeenet(stars, 3, net=net)),
    ):
        ask()
        assert got == sizes
        got.clear()
    assert set(asked) == {3}
    list(label_stream(net, [Own()] * 150, read, draws=3, batch_size=75))
    assert got == [75, 75]
