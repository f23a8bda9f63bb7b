"""Arrays in, structured arrays out: the same labels however they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from apnet_fast.api import ApogeeNet, label_dtype
from apnet_fast.backends import arrays
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.support.errors import FluxWarning, UsageError, WeightsWarning
from tests.backends.spectra import Counted, network, small_v2
from tests.engines.battery import ordinary_spectra

Data = tuple[NDArray[np.float32], NDArray[np.float32], list[str]]


@pytest.fixture(scope="module")
def net(small_checkpoint: Checkpoint) -> ApogeeNet:
    """A small network that looks at its spectra."""
    return network(small_checkpoint, recipe="dr19")


@pytest.fixture(scope="module")
def data() -> Data:
    """Seven spectra, the fourth without data."""
    flux, error = ordinary_spectra(np.random.default_rng(4), 7)
    flux[3] = np.nan
    return flux, error, list("abcdefg")


@pytest.fixture(scope="module")
def expected(net: ApogeeNet, data: Data) -> NDArray[np.void]:
    """Their labels."""
    return net.predict(*data, draws=3)


def test_in_batches_it_is_the_same(net: ApogeeNet, data: Data, expected: NDArray[np.void]) -> None:
    for batch_size in (1, 3, 100):
        assert arrays.predict(net, *data, draws=3, batch_size=batch_size).tobytes() == expected.tobytes()
    by_place = arrays.predict(net, data[0], data[1], draws=3, batch_size=2)
    assert by_place.tobytes() == net.predict(data[0], data[1], draws=3).tobytes()
    assert by_place.tobytes() != expected.tobytes()


def test_one_spectrum(net: ApogeeNet, data: Data, expected: NDArray[np.void]) -> None:
    flux, error, ids = data
    for one in (
        arrays.predict(net, flux[0], error[0], ids[:1], draws=3),
        arrays.predict(net, flux[0].tolist(), error[0].tolist(), ids[:1], draws=3),
        arrays.predict(net, flux[:1], error[:1], ids[:1], draws=3),
    ):
        assert one.tobytes() == expected[:1].tobytes()
    v2 = network(small_v2())
    known = np.arange(10, 17, dtype=np.float32)
    assert arrays.predict(v2, flux[0], error[0], draws=2, photometry=known)["result_flags"][0] & 512 == 0


def test_columns_of_tables_and_containers(net: ApogeeNet, data: Data, expected: NDArray[np.void]) -> None:
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    nddata = pytest.importorskip("astropy.nddata")
    flux, error, ids = data
    frame = pd.DataFrame({"flux": list(flux), "error": list(error), "id": ids}, index=np.arange(7)[::-1])
    table = pa.Table.from_pandas(frame)
    spectra = [
        nddata.NDData(row, uncertainty=nddata.StdDevUncertainty(sigma)) for row, sigma in zip(flux, error, strict=True)
    ]
    asked: list[tuple[Any, ...]] = [
        (frame["flux"], frame["error"], frame["id"]),
        (table["flux"], table["error"], table["id"]),
        (spectra, None, pd.Series(ids)),
        (nddata.NDData(flux, uncertainty=nddata.StdDevUncertainty(error)), None, np.array(ids, "S5")),
        (flux, error, [f"{name}   " for name in ids]),
        (flux, error, (f"{name}\0\0".encode() for name in ids)),
    ]
    for given in asked:
        assert arrays.predict(net, *given, draws=3, batch_size=3).tobytes() == expected.tobytes()
    for given in asked[:4]:
        assert net.predict(*given, draws=3).tobytes() == expected.tobytes()
    # The twin: blanks in front belong to a name.
    assert arrays.predict(net, flux, error, [f" {name}" for name in ids], draws=3).tobytes() != expected.tobytes()
    (chunk,) = arrays.stream_chunks(net, [(table["flux"], table["error"], table["id"])], draws=3)  # type: ignore[list-item]
    assert chunk.tobytes() == expected.tobytes()
    items = zip(spectra, [None] * 7, ids, strict=True)
    rows = list(arrays.stream(net, items, draws=3, batch_size=2))  # type: ignore[arg-type]
    assert np.array(rows, dtype=net.label_dtype).tobytes() == expected.tobytes()


def test_arrays_on_disk(net: ApogeeNet, data: Data, expected: NDArray[np.void], tmp_path: Path) -> None:
    for name, values in zip(("flux", "error"), data[:2], strict=True):
        np.save(tmp_path / f"{name}.npy", values)
    flux, error = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("flux", "error"))
    assert arrays.predict(net, flux, error, data[2], draws=3, batch_size=2).tobytes() == expected.tobytes()


def test_a_stream_gives_one_row_each(net: ApogeeNet, data: Data, expected: NDArray[np.void]) -> None:
    rows = list(arrays.stream(net, zip(*data, strict=True), draws=3, batch_size=2))
    assert np.array(rows, dtype=label_dtype("v3")).tobytes() == expected.tobytes()
    assert rows[3]["result_flags"] == 2048


def test_a_stream_may_have_no_end(small_checkpoint: Checkpoint) -> None:
    ones = np.ones(8575)
    endless = ((ones, ones, number) for number in count())
    rows = arrays.stream(network(small_checkpoint, engine="null"), endless, batch_size=16)
    assert len(list(islice(rows, 100))) == 100


@pytest.mark.parametrize("sizes", [[7], [1] * 7, [3, 0, 4], [0, 0, 2, 5, 0], [0], []], ids=str)
@pytest.mark.parametrize("batch_size", [2, 50])
def test_chunks_come_back_as_they_were_cut(
    sizes: list[int], batch_size: int, net: ApogeeNet, data: Data, expected: NDArray[np.void]
) -> None:
    ends = np.cumsum([0, *sizes])
    pieces = [slice(start, start + size) for start, size in zip(ends, sizes, strict=False)]
    chunks = [tuple(values[piece] for values in data) for piece in pieces]
    labels = list(arrays.stream_chunks(net, chunks, draws=3, batch_size=batch_size))  # type: ignore[arg-type]
    assert [len(each) for each in labels] == sizes
    assert b"".join(each.tobytes() for each in labels) == expected[: sum(sizes)].tobytes()


def test_chunks_are_read_as_far_ahead_as_a_batch_needs(small_checkpoint: Checkpoint) -> None:
    ones = np.ones((2, 8575))
    chunks = Counted([(ones, ones, [0, 1])] * 20)
    stream = arrays.stream_chunks(network(small_checkpoint, engine="null"), chunks, batch_size=4)
    assert chunks.taken == 0
    next(stream)
    assert chunks.taken == 2
    assert len(list(stream)) == 19


def test_engine_batches_do_not_follow_the_chunks(small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    net, sizes = network(small_checkpoint, engine="null"), []
    submit = net.engine.submit
    monkeypatch.setattr(net.engine, "submit", lambda flux, *given: sizes.append(len(flux)) or submit(flux, *given))
    ones = np.ones((1, 8575))
    list(arrays.stream_chunks(net, [(ones, ones, [0])] * 20, batch_size=8))
    assert sizes == [8, 8, 4]


def test_what_does_not_fit_is_refused(net: ApogeeNet, data: Data) -> None:
    flux, error, ids = data
    wrong: list[tuple[Any, ...]] = [
        (flux, error[:2], ids),
        (flux, error, ids[:2]),
        (flux[0], error, None),
        (flux[0], error[0], ids),
        (flux[None], error[None], None),
    ]
    for given in wrong:
        with pytest.raises(UsageError, match="do not fit together"):
            arrays.predict(net, *given)
    with pytest.raises(UsageError, match="batch"):
        arrays.predict(net, flux, error, batch_size=0)

    def chunks() -> Iterator[Any]:
        yield flux, error[:3], ids

    with pytest.raises(UsageError, match="chunk"):
        list(arrays.stream_chunks(net, chunks()))


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ((np.ones(8575), np.ones(8575)), "got a tuple of 2"),
        ((np.ones(8575), np.ones(8575), "a", None, None), "got a tuple of 5"),
        (np.ones((3, 8575)), "got ndarray"),
        ({"flux": np.ones(8575), "error": np.ones(8575), "id": "a"}, "got dict"),
        ("abc", "got str"),
        (None, "got NoneType"),
    ],
    ids=["names forgotten", "too many", "array", "dict", "text", "nothing"],
)
def test_what_is_no_item_of_a_stream_raises(item: Any, said: str, net: ApogeeNet, data: Data) -> None:
    """It is a fault of the caller's code: rows without labels would hide it."""
    with pytest.raises(UsageError, match=rf"flux, error and an id.*{said}"):
        list(arrays.stream(net, [(data[0][0], data[1][0], "a"), item]))
    if isinstance(item, tuple):
        with pytest.raises(UsageError, match=rf"flux, error and ids.*{said}"):
            list(arrays.stream_chunks(net, [item]))


def test_a_poisoned_spectrum_of_a_stream_is_a_flagged_row(net: ApogeeNet, data: Data) -> None:
    flux, error, _ = data
    poisoned: list[Any] = [
        (flux[0][:100], error[0], "short"),
        (flux[0], None, "no error"),
        (["x"] * 8575, error[0], "text"),
        (flux[0], error[0], "photometry", [1.0, 2.0]),
        [flux[0], error[0], "a list is an item too"],
        np.array([(flux[0], error[0], "row")], [("f", "f4", 8575), ("e", "f4", 8575), ("id", "U9")])[0],
    ]
    rows = list(arrays.stream(net, poisoned, draws=2))
    assert [bool(np.isnan(row["teff"])) for row in rows] == [True, True, True, True, False, False]
    assert [int(row["result_flags"]) & 2048 for row in rows] == [2048, 2048, 2048, 2048, 0, 0]


def test_masked_pixels_are_missing_every_way(net: ApogeeNet, data: Data) -> None:
    flux, error, ids = data
    bad = np.zeros(flux.shape, dtype=bool)
    bad[:, 50:90] = True
    wild = np.ma.array(np.where(bad, 1e7, flux), mask=bad)
    doubtful = np.ma.array(error, mask=np.roll(bad, 100, axis=1))
    expected = net.predict(wild.filled(np.nan), doubtful.filled(np.nan), ids, draws=2)
    assert arrays.predict(net, wild, doubtful, ids, draws=2, batch_size=3).tobytes() == expected.tobytes()
    rows = list(arrays.stream(net, zip(wild, doubtful, ids, strict=True), draws=2))
    assert np.array(rows, dtype=net.label_dtype).tobytes() == expected.tobytes()
    (chunk,) = arrays.stream_chunks(net, [(wild, doubtful, ids)], draws=2)
    assert chunk.tobytes() == expected.tobytes()


def test_one_text_is_no_sequence_of_ids(net: ApogeeNet, data: Data) -> None:
    flux, error, _ = data
    with pytest.raises(UsageError, match="ids is a single string"):
        arrays.predict(net, flux, error, "abcdefg")
    with pytest.raises(UsageError, match="ids is a single string"):
        list(arrays.stream_chunks(net, [(flux, error, "abcdefg")]))


def test_photometry_reaches_v2_every_way(data: Data) -> None:
    net = network(small_v2())
    flux, error, ids = data
    known = np.linspace(5, 18, 49, dtype=np.float32).reshape(7, 7)
    expected = net.predict(*data, draws=3, photometry=known)
    assert expected.tobytes() != net.predict(*data, draws=3).tobytes()
    assert "teff_sample_median" in (expected.dtype.names or ())
    assert arrays.predict(net, *data, draws=3, batch_size=3, photometry=known).tobytes() == expected.tobytes()
    rows = list(arrays.stream(net, zip(*data, known, strict=True), draws=3, batch_size=2))
    assert np.array(rows, dtype=net.label_dtype).tobytes() == expected.tobytes()
    chunks = [(flux[:3], error[:3], ids[:3], known[:3]), (flux[3:], error[3:], ids[3:], known[3:])]
    labels = arrays.stream_chunks(net, chunks, draws=3)
    assert b"".join(each.tobytes() for each in labels) == expected.tobytes()
    # Some may have none.
    mixed = list(arrays.stream(net, [(flux[0], error[0], "a"), (flux[1], error[1], "b", known[1])], draws=3))
    assert mixed[0]["result_flags"] & 512
    assert mixed[1].tobytes() == expected[1].tobytes()
    with pytest.raises(UsageError, match="photometry does not fit"):
        arrays.predict(net, *data, photometry=known[:2])
    with pytest.raises(UsageError, match="2 of photometry"):
        list(arrays.stream_chunks(net, [(flux, error, ids, known[:2])]))


def test_all_batches_together_give_one_warning(net: ApogeeNet, data: Data) -> None:
    flux, error, ids = data
    scale = np.float32(1e-17)
    with pytest.warns(FluxWarning, match="6 of 6 spectra have a median flux outside") as caught:
        arrays.predict(net, flux * scale, error * scale, ids, draws=2, batch_size=2)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_errors_below_zero_are_refused(net: ApogeeNet, data: Data) -> None:
    flux, error, ids = data
    error = error.copy()
    error[5, 100] = -3
    with pytest.raises(UsageError, match="errors are negative; got 1 pixels, the first ones in spectrum f"):
        arrays.predict(net, flux, error, ids, draws=2, batch_size=2)
    rows = list(arrays.stream(net, zip(flux, error, ids, strict=True), draws=2))
    assert [bool(np.isnan(row["teff"])) for row in rows] == [False, False, False, True, False, True, False]


def test_quantities_of_any_unit_of_flux(net: ApogeeNet, data: Data) -> None:
    units = pytest.importorskip("astropy.units")
    flux, error, ids = data
    ours = units.Unit("1e-17 erg / (s cm2 Angstrom)")
    expected = arrays.predict(net, flux, error, ids, draws=2)
    assert arrays.predict(net, flux * ours, error * ours, ids, draws=2, batch_size=3).tobytes() == expected.tobytes()
    (chunk,) = arrays.stream_chunks(net, [(flux * ours, error * ours, ids)], draws=2)
    assert chunk.tobytes() == expected.tobytes()
    with pytest.raises(UsageError, match="another unit; got ct"):
        arrays.predict(net, flux * units.ct, error * units.ct, ids)


def test_weights_for_simulated_spectra(small_checkpoint: Checkpoint, data: Data) -> None:
    net = network(replace(small_checkpoint, trained_on="simulated"), recipe="dr19")
    with pytest.warns(WeightsWarning) as caught:
        flagged = arrays.predict(net, *data, draws=2, batch_size=2)
    assert len(caught) == 1
    plain = arrays.predict(net, *data, draws=2, simulated=True)
    assert (flagged["result_flags"] ^ plain["result_flags"]).tolist() == [1024, 1024, 1024, 0, 1024, 1024, 1024]
    (chunk,) = arrays.stream_chunks(net, [data], draws=2, simulated=True)
    assert chunk.tobytes() == plain.tobytes()
