"""The Python API: arrays in, the catalogue's label columns out."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import apnet_fast
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.recipes import flag_tables
from apnet_fast.support.errors import UsageError, WeightsError
from tests.backends.spectra import network, small_v2
from tests.engines.battery import ordinary_spectra


@pytest.fixture(scope="module")
def net(small_weights: Path) -> apnet_fast.ApogeeNet:
    """The small network under the default recipe."""
    return apnet_fast.ApogeeNet.load(small_weights)


def test_a_structured_array_with_the_label_columns(net: apnet_fast.ApogeeNet, rng: np.random.Generator) -> None:
    labels = net.predict(*ordinary_spectra(rng, 2))
    assert labels.shape == (2,)
    assert labels.dtype.names[:6] == ("teff", "e_teff", "logg", "e_logg", "fe_h", "e_fe_h")
    assert labels.dtype["result_flags"] == np.int64
    assert np.isfinite(labels["raw_e_teff"]).all()
    np.testing.assert_allclose(labels["e_teff"], 1.25 * labels["raw_e_teff"] + 10, rtol=1e-6)


def test_one_spectrum_may_be_one_dimensional(net: apnet_fast.ApogeeNet, rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 1)
    assert np.array_equal(net.predict(flux[0], error[0]), net.predict(flux, error))


def test_ids_key_the_noise(net: apnet_fast.ApogeeNet, rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 2)
    forward = net.predict(flux, error, ids=["a", "b"])
    backward = net.predict(flux[::-1], error[::-1], ids=["b", "a"])
    assert np.array_equal(forward, backward[::-1])
    assert not np.array_equal(forward, net.predict(flux, error))
    assert np.array_equal(net.predict(flux, error), net.predict(flux, error, ids=[0, 1]))
    assert np.array_equal(forward, net.predict(flux, error, ids=np.array([b"a", b"b"])))


def test_a_spectrum_without_data_gets_a_flagged_row(net: apnet_fast.ApogeeNet, rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 3)
    expected = net.predict(flux, error, ids=list("abc"))
    flux[1] = np.nan
    labels = net.predict(flux, error, ids=list("abc"))
    assert np.array_equal(labels[[0, 2]], expected[[0, 2]])
    assert np.isnan(labels["teff"][1])
    assert labels["result_flags"][1] == 2048
    assert labels["flag_bad"][1]


def test_masked_pixels_are_missing(net: apnet_fast.ApogeeNet, rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 2)
    bad = np.zeros(flux.shape, dtype=bool)
    bad[0, 100:200] = bad[1] = True
    wild = np.ma.array(np.where(bad, 1e7, flux), mask=bad)
    expected = net.predict(np.where(bad, np.nan, flux), error, draws=2)
    assert net.predict(wild, error, draws=2).tobytes() == expected.tobytes()
    assert net.predict(list(wild), error, draws=2).tobytes() == expected.tobytes()
    assert net.predict(wild[0], error[0], draws=2).tobytes() == expected[:1].tobytes()
    assert expected["result_flags"][1] == 2048
    wild_error = np.ma.array(np.where(bad, 1e-9, error), mask=bad)
    assert (
        net.predict(flux, wild_error, draws=2).tobytes()
        == net.predict(flux, np.where(bad, np.nan, error), draws=2).tobytes()
    )


def test_masked_photometry_is_unknown(rng: np.random.Generator) -> None:
    net = network(small_v2())
    flux, error = ordinary_spectra(rng, 1)
    known = np.ma.array([[2.0, 13.0, 13.5, 12.3, 11.0, 10.4, 10.2]], mask=[[0, 0, 0, 1, 0, 0, 0]])
    expected = net.predict(flux, error, draws=2, photometry=known.filled(np.nan))
    assert net.predict(flux, error, draws=2, photometry=known).tobytes() == expected.tobytes()
    assert expected["result_flags"][0] & 512


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"seed": 1.5}, "seed of the noise is not an integer; got 1.5"),
        ({"seed": "1"}, "seed of the noise is not an integer; got '1'"),
        ({"draws": 0}, "too few noise draws for recipe dr19; got 0; expected at least 2"),
        ({"draws": 0}, "Remedy: draws=20 in Python"),
        ({"draws": 2.5}, "number of noise draws is not an integer; got 2.5"),
        ({"draws": "3"}, "number of noise draws is not an integer; got '3'"),
        ({"ids": "2M0001"}, r"ids is a single string; got '2M0001'.*ids=\['2M0001'\]"),
        ({"ids": b"2"}, "ids is a single string; got b'2'"),
    ],
)
def test_arguments_of_another_type_are_refused(
    given: dict[str, Any], said: str, net: apnet_fast.ApogeeNet, rng: np.random.Generator
) -> None:
    with pytest.raises(UsageError, match=said):
        net.predict(*ordinary_spectra(rng, 1), **given)


def test_integers_of_numpy_are_integers(net: apnet_fast.ApogeeNet, rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 1)
    expected = net.predict(flux, error, draws=3, seed=7)
    assert net.predict(flux, error, draws=np.int64(3), seed=np.uint8(7)).tobytes() == expected.tobytes()


def test_weights_recipe_and_device_of_the_environment(small_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no weights: APNET_FAST_WEIGHTS is not set"):
        apnet_fast.ApogeeNet.load()
    for name, value in (("WEIGHTS", str(small_weights)), ("RECIPE", "bossnet-2"), ("DEVICE", "cpu,cpu")):
        monkeypatch.setenv(f"APNET_FAST_{name}", value)
    net = apnet_fast.ApogeeNet.load()
    assert (net.recipe.name, net.engine.device) == ("bossnet-2", "cpu,cpu")
    net = apnet_fast.ApogeeNet.load("demo", recipe="dr19", device="cpu")
    assert (net.recipe.name, net.engine.device, net.engine.checkpoint.trained_on) == ("dr19", "cpu", "simulated")


def test_v2_takes_photometry_and_gives_medians(tmp_path: Path, rng: np.random.Generator) -> None:
    random_checkpoint(1, network="v2").save(tmp_path / "v2.safetensors")
    net = apnet_fast.ApogeeNet.load(tmp_path / "v2.safetensors", device="cpu")
    assert net.recipe.network == "v2"
    assert net.recipe.name == "astra-0.6"
    flux, error = ordinary_spectra(rng, 2)
    known = [[2.0, 13.0, 13.5, 12.3, 11.0, 10.4, 10.2]] * 2
    with_it = net.predict(flux, error, draws=3, photometry=known)
    without = net.predict(flux, error, draws=3)
    assert with_it.dtype.names[6:9] == ("teff_sample_median", "logg_sample_median", "fe_h_sample_median")
    assert not np.isclose(with_it["teff"], without["teff"], rtol=1e-4).any()
    assert (with_it["result_flags"] & 512).tolist() == [0, 0]
    assert (without["result_flags"] & 512).tolist() == [512, 512]
    flux[0] = np.nan
    gap = net.predict(flux, error, draws=3, photometry=known)
    assert gap["result_flags"][0] == 2048
    assert gap[1] == with_it[1]
    assert net.predict(flux[1], error[1], ids=[1], draws=3, photometry=known[1])[0] == with_it[1]
    with pytest.raises(UsageError, match="photometry does not fit"):
        net.predict(flux, error, photometry=known[:1])


def test_photometry_is_nothing_to_v3(net: apnet_fast.ApogeeNet, rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 1)
    plain = net.predict(flux, error, draws=2)
    assert plain.tobytes() == net.predict(flux, error, draws=2, photometry=np.ones((1, 7))).tobytes()
    assert "teff_sample_median" not in plain.dtype.names


def test_wrong_shapes_and_names_are_refused(net: apnet_fast.ApogeeNet, small_weights: Path) -> None:
    ones = np.ones((2, 8575))
    with pytest.raises(UsageError, match="do not fit together"):
        net.predict(ones, ones[:1])
    with pytest.raises(UsageError, match="do not fit together"):
        net.predict(ones, ones, ids=["a"])
    for shape in ((2, 8000), (2, 100), (2, 3, 8575), (0,)):
        with pytest.raises(UsageError, match="do not fit together"):
            net.predict(np.ones(shape), np.ones(shape))
    with pytest.raises(UsageError, match="unknown recipe"):
        apnet_fast.ApogeeNet.load(small_weights, recipe="dr20")
    with pytest.raises(WeightsError, match="no such weights file"):
        apnet_fast.ApogeeNet.load("nowhere.safetensors")
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = apnet_fast.no_such_thing


@pytest.mark.parametrize(
    ("module", "absent"), [("spectra", {"torch"}), ("reprocess", {"torch", "numba"}), ("cli", {"torch", "numba"})]
)
def test_what_starts_often_starts_fast(module: str, absent: set[str]) -> None:
    code = f"import sys, apnet_fast.{module}; print(sorted({absent!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_errors_below_zero_are_refused(net: apnet_fast.ApogeeNet, rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 3)
    expected = net.predict(flux, error, draws=2)
    error[1, 500] = error[2, 7] = -0.1
    with pytest.raises(UsageError, match="errors are negative; got 2 pixels, the first ones in spectrum b"):
        net.predict(flux, error, ids=["a", "b", "c"], draws=2)
    error[1, 500] = -np.inf
    with pytest.raises(UsageError, match="errors are negative"):
        net.predict(flux[1], error[1], draws=2)
    masked = np.ma.array(error, mask=error < 0)
    assert net.predict(flux, masked, draws=2)[0] == expected[0]


def test_flux_on_another_scale_gets_one_warning_with_a_count(
    net: apnet_fast.ApogeeNet, rng: np.random.Generator
) -> None:
    flux, error = ordinary_spectra(rng, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.predict(flux, error, draws=2)
    for scale in (1e-17, 1 / np.nanmedian(flux[:2], axis=1, keepdims=True)):
        other, other_error = flux.copy(), error.copy()
        other[:2], other_error[:2] = other[:2] * scale, other_error[:2] * scale
        with pytest.warns(apnet_fast.FluxWarning, match="2 of 4 spectra have a median flux outside 3 to 3e") as caught:
            net.predict(other, other_error, draws=2)
        assert len(caught) == 1
        assert caught[0].filename == __file__


def test_draws_without_scatter_get_a_warning(net: apnet_fast.ApogeeNet, rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 2)
    error[0] = np.where(np.isfinite(flux[0]), 1e-20, np.nan)
    with pytest.warns(apnet_fast.FluxWarning, match="1 of 2 spectra have draws without scatter") as caught:
        net.predict(flux, error, draws=4)
    assert len(caught) == 1


def test_constant_labels_are_no_reason_to_warn(small_weights: Path, rng: np.random.Generator) -> None:
    null = apnet_fast.ApogeeNet.load(small_weights, engine="null")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        null.predict(*ordinary_spectra(rng, 2), draws=3)


def test_quantities_are_converted_and_other_units_refused(net: apnet_fast.ApogeeNet, rng: np.random.Generator) -> None:
    units = pytest.importorskip("astropy.units")
    flux, error = (values.astype(np.float64) for values in ordinary_spectra(rng, 2))
    expected = net.predict(flux, error, draws=2)
    ours = units.Unit("1e-17 erg / (s cm2 Angstrom)")
    assert net.predict(flux * ours, error * ours, draws=2).tobytes() == expected.tobytes()
    cgs = net.predict((flux * ours).to("erg / (s cm2 nm)"), (error * ours).to("W / (m2 um)"), draws=2)
    np.testing.assert_allclose(cgs["teff"], expected["teff"], rtol=1e-4)
    with pytest.raises(UsageError, match="flux is in another unit; got mJy"):
        net.predict(flux * units.mJy, error * units.mJy, draws=2)
    with pytest.raises(UsageError, match="only one of flux and error has a unit"):
        net.predict(flux * ours, error, draws=2)


def test_demo_weights_flag_what_is_not_simulated(rng: np.random.Generator) -> None:
    demo = apnet_fast.ApogeeNet.load("demo", device="cpu")
    flux, error = ordinary_spectra(rng, 2)
    flux[1] = np.nan
    unreliable, no_result = (flag_tables.PAGE.mask(name) for name in ("RESULT_UNRELIABLE", "NO_RESULT"))
    with pytest.warns(apnet_fast.WeightsWarning, match=r"for simulated spectra only.*simulated=True") as caught:
        real = demo.predict(flux, error, draws=2)
    assert len(caught) == 1
    assert real["result_flags"][0] & unreliable
    assert real["flag_bad"].all()
    assert real["result_flags"][1] == no_result
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulated = demo.predict(flux, error, draws=2, simulated=True)
    assert not simulated["result_flags"][0] & unreliable
    for name in simulated.dtype.names:
        if "flag" not in name:
            assert simulated[name].tobytes() == real[name].tobytes()


def test_the_bits_of_a_released_table_stay_as_they_are(rng: np.random.Generator) -> None:
    """Astra 0.6's table has no bit for labels that mean nothing; upstream of bossnet-2 has no flags, so ours has."""
    flux, error = ordinary_spectra(rng, 1)
    for recipe, bits in (("astra-0.6", 0), ("bossnet-2", flag_tables.NO_RESULT_ONLY.mask("RESULT_UNRELIABLE"))):
        demo = apnet_fast.ApogeeNet.load("demo", device="cpu", recipe=recipe)
        with pytest.warns(apnet_fast.WeightsWarning):
            real = demo.predict(flux, error, draws=0)
        simulated = demo.predict(flux, error, draws=0, simulated=True)
        assert real.dtype == simulated.dtype
        changed = {name for name in real.dtype.names or () if real[name].tobytes() != simulated[name].tobytes()}
        assert changed == {"flag_bad"} | ({"result_flags"} if bits else set())
        assert (real["result_flags"][0] - simulated["result_flags"][0], bool(real["flag_bad"][0])) == (bits, True)


def test_medians_of_the_draws_on_request(small_weights: Path, rng: np.random.Generator) -> None:
    flux, error = ordinary_spectra(rng, 2)
    plain, more = (
        apnet_fast.ApogeeNet.load(small_weights, device="cpu", recipe=recipe).predict(flux, error, draws=5)
        for recipe in ("bossnet-2", "bossnet-2+medians")
    )
    for name in plain.dtype.names or ():
        assert plain[name].tobytes() == more[name].tobytes()
    assert more.dtype.names is not None
    assert more.dtype.names[6:9] == ("teff_sample_median", "logg_sample_median", "fe_h_sample_median")
    # Clean labels and medians of noisy ones differ, by less than their scatter.
    assert (more["teff"] != more["teff_sample_median"]).all()
    assert (np.abs(more["teff"] - more["teff_sample_median"]) < 5 * more["raw_e_teff"]).all()
