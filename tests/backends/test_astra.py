"""The contract of Astra's task: one row a spectrum, in order, lazily, whatever happens to a spectrum."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from apnet_fast.api import ApogeeNet
from apnet_fast.backends.astra import apogeenet, error_of
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.kinds import NETWORKS
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.v1 import ArchitectureV1
from apnet_fast.networks.v2 import ArchitectureV2
from apnet_fast.recipes import flag_tables
from apnet_fast.recipes.labels import MEDIANS
from apnet_fast.recipes.photometry import MEANS, NO_SOURCE, PHOTOMETRY_COLUMNS
from apnet_fast.recipes.versions import VERSIONS
from apnet_fast.support.errors import UsageError
from tests.backends.spectra import AstraLike, Counted, Poisoned, network, small_v2
from tests.conftest import SMALL
from tests.engines.battery import ordinary_spectra


@pytest.fixture
def null(small_checkpoint: Checkpoint) -> ApogeeNet:
    """A network that takes no time."""
    return network(small_checkpoint, engine="null")


@pytest.fixture(scope="module")
def small(small_checkpoint: Checkpoint) -> ApogeeNet:
    """A small network that looks at its spectra."""
    return network(small_checkpoint)


def test_a_thousand_spectra_in_order_at_the_rate_of_the_engine(
    null: ApogeeNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    submit = null.engine.submit
    monkeypatch.setattr(null.engine, "submit", lambda flux, *given: sizes.append(len(flux)) or submit(flux, *given))
    spectra: list[AstraLike] = [(Poisoned if pk % 100 == 7 else AstraLike)(pk) for pk in range(1000)]
    rows = list(apogeenet(spectra, net=null, batch_size=64))
    assert [row.spectrum_pk for row in rows] == list(range(1000))
    assert [row.source_pk for row in rows] == list(range(1000, 2000))
    bad = [row.spectrum_pk for row in rows if row.flag_runtime_exception]
    assert bad == list(range(7, 1000, 100))
    # The rate of the engine: full batches, no spectrum read or computed twice.
    assert len(sizes) == 16
    assert sum(sizes) == 990
    assert {spectrum.reads for spectrum in spectra if not isinstance(spectrum, Poisoned)} == {1}


def test_rows_have_the_labels_of_the_catalogue(small: ApogeeNet, rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 5)
    error[0, :50] = 0
    spectra = [AstraLike(pk, flux[pk].astype(">f8"), error[pk].astype(">f8")) for pk in range(5)]
    rows = list(apogeenet(spectra, 4, net=small, batch_size=2, seed=3))
    expected = small.predict(flux, error, ids=range(5), draws=4, seed=3)
    for name in ("teff", "e_teff", "logg", "e_logg", "fe_h", "e_fe_h", "raw_e_teff", "raw_e_logg", "raw_e_fe_h"):
        assert [getattr(row, name) for row in rows] == expected[name].tolist()
        assert type(getattr(rows[0], name)) is float
    assert [row.result_flags for row in rows] == expected["result_flags"].tolist()
    np.testing.assert_allclose([row.e_teff for row in rows], 1.25 * expected["raw_e_teff"] + 10, rtol=1e-6)
    # The twin: noise is keyed on spectrum_pk and seed.
    assert [row.e_teff for row in apogeenet(spectra, 4, net=small)] != expected["e_teff"].tolist()


def test_no_more_than_a_batch_is_taken_ahead(null: ApogeeNet) -> None:
    spectra = Counted([AstraLike(pk) for pk in range(30)])
    rows = apogeenet(spectra, net=null, batch_size=8)
    assert spectra.taken == 0
    for number, row in enumerate(rows, start=1):
        assert row.spectrum_pk == number - 1
        assert number <= spectra.taken <= number + 7
    assert spectra.taken == 30


@pytest.mark.parametrize(
    "damage",
    [
        lambda: Poisoned(1),
        lambda: AstraLike(1, flux=np.ones(8000)),
        lambda: AstraLike(1, flux=np.ones((2, 8575))),
        lambda: AstraLike(1, error=np.ones(3)),
        lambda: AstraLike(1, flux=np.full(8575, np.nan)),
        lambda: AstraLike(1, flux=np.zeros(8575)),
        lambda: AstraLike(1, flux=np.array(["x"] * 8575)),
        lambda: SimpleNamespace(spectrum_pk=1, source_pk=1001, flux=np.ones(8575)),
        lambda: SimpleNamespace(spectrum_pk=1, source_pk=1001, flux=None, ivar=None),
    ],
    ids=["raises", "short", "two rows", "short ivar", "all NaN", "all zero", "text", "no ivar", "None"],
)
def test_a_poisoned_spectrum_is_a_flagged_row(
    damage: Callable[[], Any], small: ApogeeNet, rng: np.random.Generator
) -> None:
    flux, error = ordinary_spectra(rng, 3)
    around = [AstraLike(pk, flux[pk], error[pk]) for pk in (0, 2)]
    before, bad, after = apogeenet([around[0], damage(), around[1]], 2, net=small)
    assert (bad.spectrum_pk, bad.source_pk, bad.result_flags, bad.flag_runtime_exception) == (1, 1001, 1, True)
    assert np.isnan([bad.teff, bad.e_teff, bad.raw_e_fe_h]).all()
    alone = list(apogeenet(around, 2, net=small))
    assert [before.teff, after.teff] == [row.teff for row in alone], "the others are as without it"
    assert not before.flag_runtime_exception


def test_a_failure_is_in_the_log_with_its_traceback(null: ApogeeNet, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        list(apogeenet([Poisoned(1)], net=null))
    assert "Header missing END card" in caplog.text
    assert "Traceback" in caplog.text


def test_rows_are_built_by_the_factory_that_is_given(null: ApogeeNet) -> None:
    class Model:
        def __init__(self, **fields: Any) -> None:
            self.fields = fields

        @classmethod
        def from_spectrum(cls, spectrum: AstraLike, **fields: Any) -> Model:
            return cls(of=spectrum.spectrum_pk, **fields)

    good, bad = apogeenet([AstraLike(4), Poisoned(5)], net=null, row=Model)
    assert list(good.fields)[:3] == ["spectrum_pk", "source_pk", "t_elapsed"]
    assert {"teff", "raw_e_fe_h", "result_flags"} < set(good.fields)
    assert set(bad.fields) == {"spectrum_pk", "source_pk", "t_elapsed", "flag_runtime_exception"}
    assert all(type(value) in (int, float, bool) for value in [*good.fields.values(), *bad.fields.values()])
    (row,) = apogeenet([AstraLike(4)], net=null, from_spectrum=Model.from_spectrum)
    assert row.fields["of"] == 4
    assert "spectrum_pk" not in row.fields


def test_another_recipe_has_its_own_bit_for_no_result(small_checkpoint: Checkpoint) -> None:
    (row,) = apogeenet([Poisoned(5)], net=network(small_checkpoint, engine="null", recipe="dr19"))
    assert (row.result_flags, row.flag_runtime_exception) == (2048, False)


def test_times_are_of_the_batch_over_its_size(null: ApogeeNet, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 8.0, 10.0, 11.0, 20.0])
    monkeypatch.setattr("apnet_fast.backends.stream.time", SimpleNamespace(perf_counter=lambda: next(now)))
    rows = list(apogeenet([AstraLike(pk) for pk in range(5)], net=null, batch_size=4))
    assert [row.t_elapsed for row in rows] == [2, 2, 2, 2, 1]


def test_limit_queries_and_the_marks_of_overhead(null: ApogeeNet) -> None:
    spectra = Counted([AstraLike(pk) for pk in range(30)])
    assert len(list(apogeenet(spectra, net=null, limit=3, batch_size=8))) == spectra.taken == 3
    query = SimpleNamespace(iterator=lambda: iter([AstraLike(9)]))
    assert [row.spectrum_pk for row in apogeenet(query, net=null)] == [9]  # type: ignore[arg-type]
    assert next(apogeenet([AstraLike(1)], net=null, mark_overhead=True)) is ...
    assert len(list(apogeenet([AstraLike(1)], net=null, mark_overhead=True))) == 2
    assert list(apogeenet([], net=null)) == []


def test_unknown_arguments_are_told_and_those_of_the_harness_are_not(
    null: ApogeeNet, caplog: pytest.LogCaptureFixture
) -> None:
    list(apogeenet([], net=null, live=True, live_renderable=None))
    assert caplog.text == ""
    list(apogeenet([], net=null, recepie="dr19"))
    assert "recepie" in caplog.text


def test_weights_recipe_and_device_from_the_environment(small_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WEIGHTS", "RECIPE", "DEVICE"):
        monkeypatch.delenv(f"APNET_FAST_{name}", raising=False)
    with pytest.raises(UsageError, match="no weights"):
        list(apogeenet([AstraLike(1)]))
    monkeypatch.setenv("APNET_FAST_WEIGHTS", str(small_weights))
    monkeypatch.setenv("APNET_FAST_DEVICE", "cpu")
    (row,) = apogeenet([Poisoned(1)], engine="null")
    assert row.result_flags == 1
    monkeypatch.setenv("APNET_FAST_RECIPE", "dr19")
    (row,) = apogeenet([Poisoned(1)], engine="null")
    assert row.result_flags == 2048
    (row,) = apogeenet([Poisoned(1)], engine="null", recipe="astra-0.6", weights=small_weights)
    assert row.result_flags == 1


def test_the_demo_weights_have_their_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APNET_FAST_RECIPE", raising=False)
    (row,) = apogeenet([AstraLike(1)], weights="demo", device="cpu", engine="null", simulated=True)
    assert row.teff > 0
    monkeypatch.setenv("APNET_FAST_WEIGHTS", "demo")
    (again,) = apogeenet([AstraLike(1)], device="cpu", engine="null", simulated=True)
    assert again.teff == row.teff


def test_what_is_wrong_with_the_call_is_an_error(null: ApogeeNet, small_weights: Path) -> None:
    for wrong in ({"num_uncertainty_draws": 1}, {"batch_size": 0}, {"weights": small_weights}, {"recipe": "dr19"}):
        with pytest.raises(UsageError):
            list(apogeenet([AstraLike(1)], net=null, **wrong))  # type: ignore[arg-type]

    def broken() -> Any:
        yield AstraLike(1)
        raise ConnectionError("the database is gone")

    with pytest.raises(ConnectionError):
        list(apogeenet(broken(), net=null))


def test_errors_survive_their_way_through_inverse_variances(rng: np.random.Generator) -> None:
    error = rng.lognormal(0, 3, 200_000).astype(np.float32).astype(np.float64)
    assert np.array_equal(error_of(error**-2).astype(np.float32), error.astype(np.float32))
    # The twin: float32 arithmetic loses last bits.
    lossy = np.sqrt(1 / (error**-2).astype(np.float32))
    assert 0.01 < np.mean(lossy != error.astype(np.float32)) < 0.2
    assert error_of([0, np.nan, np.inf, -1, 4]).tolist() == [0, 0, 0, 0, 0.5]
    assert error_of(np.ma.array([4.0, 4.0], mask=[True, False])).tolist() == [0, 0.5]


def test_photometry_of_the_source_reaches_networks_that_use_it(
    null: ApogeeNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    predict = null.predict_and_count

    def keep(*values: Any, photometry: Any = None, **options: Any) -> Any:
        given.append(photometry)
        return predict(*values, **options)

    monkeypatch.setattr(null, "predict_and_count", keep)
    star, lonely = AstraLike(1), AstraLike(2)
    star.source = SimpleNamespace(plx=1.5, g_mag=12, bp_mag=None, rp_mag=11, j_mag=10, h_mag=9, k_mag=8.5)  # type: ignore[attr-defined]
    list(apogeenet([star, lonely], net=null))
    monkeypatch.setitem(VERSIONS, "v3", replace(VERSIONS["v3"], photometry=True))
    list(apogeenet([star, lonely], net=null))
    assert given[0] is None
    np.testing.assert_array_equal(given[1], [[1.5, 12, np.nan, 11, 10, 9, 8.5], [np.inf] * 7])


def test_quantities_of_flux_and_ivar_are_converted(small: ApogeeNet, rng: np.random.Generator) -> None:
    units = pytest.importorskip("astropy.units")
    (flux,), (error,) = ordinary_spectra(rng, 1)
    ours = units.Unit("1e-17 erg / (s cm2 Angstrom)")
    plain = AstraLike(1, flux, error)
    quantity = SimpleNamespace(spectrum_pk=1, source_pk=1001, flux=flux * ours, ivar=plain.ivar / ours**2)
    got, expected = apogeenet([quantity, plain], 2, net=small)
    assert replace(got, t_elapsed=0) == replace(expected, t_elapsed=0)
    wrong = SimpleNamespace(spectrum_pk=1, source_pk=1001, flux=flux * units.Jy, ivar=plain.ivar / units.Jy**2)
    with pytest.raises(UsageError, match="flux is in another unit; got Jy"):
        list(apogeenet([wrong], 2, net=small))


class Orphan(AstraLike):
    """A spectrum whose relation to its source is broken."""

    @property
    def source(self) -> Any:
        raise LookupError("no such source")


def test_v2_without_a_source_is_computed_with_the_mean_of_its_photometry(
    rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    net = network(small_v2())
    (flux,), (error,) = ordinary_spectra(rng, 1)
    # A placeholder for each value is what a source without values has.
    empty, average = AstraLike(1, flux, error), AstraLike(1, flux, error)
    empty.source = SimpleNamespace(**dict.fromkeys(PHOTOMETRY_COLUMNS))  # type: ignore[attr-defined]
    average.source = SimpleNamespace(**dict(zip(PHOTOMETRY_COLUMNS, MEANS, strict=True)))  # type: ignore[attr-defined]
    partial = AstraLike(1, flux, error)
    partial.source = SimpleNamespace(plx=1.0)  # type: ignore[attr-defined]
    spectra = [AstraLike(1, flux, error), Orphan(1, flux, error), partial, average, empty]
    lonely, orphan, part, mean, unknown = apogeenet(spectra, 4, net=net)
    assert "LookupError: no such source" in caplog.text
    missing = flag_tables.ASTRA_06_V2.mask("MISSING_PHOTOMETRY")
    for row in (lonely, orphan, part):
        # To the bit: the scatter of a few draws makes much of any difference, on each type of processor another.
        assert replace(row, t_elapsed=0, result_flags=0) == replace(mean, t_elapsed=0, result_flags=0)
        assert row.result_flags & missing
        assert not row.result_flags & flag_tables.ASTRA_06_V2.mask("NO_RESULT")
    assert not mean.result_flags & missing
    assert unknown.result_flags & missing
    assert abs(unknown.teff / lonely.teff - 1) > 1e-3


def test_rows_of_v2_have_medians_and_its_draws(rng: np.random.Generator) -> None:
    net = network(small_v2())
    (flux,), (error,) = ordinary_spectra(rng, 1)
    (row,) = apogeenet([AstraLike(1, flux, error)], net=net)
    expected = net.predict(flux, error, [1], draws=100, photometry=NO_SOURCE)[0]
    for name in MEDIANS:
        assert getattr(row, name) == float(expected[name])
        assert np.isfinite(getattr(row, name))
    (bad,) = apogeenet([Poisoned(1)], net=net)
    assert (bad.result_flags, bad.flag_runtime_exception) == (2048, False)


def test_rows_of_v3_give_no_medians(null: ApogeeNet) -> None:
    (fields,) = apogeenet([AstraLike(1)], net=null, row=dict)
    assert not set(MEDIANS) & set(fields)
    assert {"teff", "raw_e_fe_h", "result_flags"} <= set(fields)


@pytest.mark.parametrize(("network_name", "recipe"), [("v1", "astra-2020"), ("v2", "astra-0.6"), ("v3", "astra-0.6")])
def test_recipe_by_default(network_name: str, recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APNET_FAST_RECIPE", raising=False)
    kind, used = NETWORKS[network_name], []
    sizes = {"v3": SMALL, "v2": ArchitectureV2(linear_dim=8), "v1": ArchitectureV1(linear_dim=8)}
    path = tmp_path / "w.safetensors"
    random_checkpoint(1, architecture=sizes[kind.name]).save(path)  # type: ignore[arg-type]
    load = ApogeeNet.load
    monkeypatch.setattr(ApogeeNet, "load", lambda *given, **more: used.append(load(*given, **more)) or used[0])
    (row,) = apogeenet([AstraLike(1)], weights=path, device="cpu", engine="null")
    assert used[0].recipe.name == recipe
    assert row.teff > 0
