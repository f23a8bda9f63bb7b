"""A network goes into other processes, whoever starts them, and gives the same labels there."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from apnet_fast import ApogeeNet
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.support.errors import UsageError, WeightsError
from tests.backends.spectra import network
from tests.engines.battery import ordinary_spectra

SPECTRA = 4


@pytest.fixture
def net(small_weights: Path) -> ApogeeNet:
    """The small network."""
    return ApogeeNet.load(small_weights, device="cpu")


@pytest.fixture
def spectra(rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Four spectra."""
    return ordinary_spectra(rng, SPECTRA)


def labels_of(net: ApogeeNet, flux: NDArray, error: NDArray, name: object) -> bytes:
    """What each process is asked for."""
    return bytes(net.predict(flux, error, [name], draws=3).tobytes())


def expected(net: ApogeeNet, spectra: tuple[NDArray, NDArray]) -> list[bytes]:
    labels = net.predict(*spectra, draws=3)
    assert len({row.tobytes() for row in labels}) == SPECTRA
    return [row.tobytes() for row in labels]


def test_a_pickle_is_a_path_and_options(net: ApogeeNet, spectra: tuple[NDArray, NDArray]) -> None:
    pickled = pickle.dumps(net)
    assert len(pickled) < 1000
    other = pickle.loads(pickled)
    assert repr(other).startswith("<ApogeeNet, not loaded yet, weights '/")
    assert expected(other, spectra) == expected(net, spectra)
    assert other.engine is net.engine
    assert repr(other) == repr(net)
    assert repr(net).startswith("<ApogeeNet v3, recipe 'dr19', engine 'cpu' on cpu in fp32, weights '/")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_share_the_engine(copied: Any, net: ApogeeNet, small_checkpoint: Checkpoint) -> None:
    assert copied(net).engine is net.engine
    assert copied(net) is not net
    made_of_an_engine = network(small_checkpoint, engine="null")
    assert copied({"net": made_of_an_engine})["net"].engine is made_of_an_engine.engine


def test_a_network_without_a_path_does_not_travel(small_checkpoint: Checkpoint) -> None:
    with pytest.raises(UsageError, match="made of an engine cannot be sent"):
        pickle.dumps(network(small_checkpoint, engine="null"))


def test_weights_that_have_gone_are_missed_on_first_use(tmp_path: Path, small_checkpoint: Checkpoint) -> None:
    path = tmp_path / "w.safetensors"
    small_checkpoint.save(path)
    pickled = pickle.dumps(ApogeeNet.load(path, engine="null", device="cpu"))
    path.unlink()
    other = pickle.loads(pickled)
    with pytest.raises(WeightsError, match="no such weights file"):
        _ = other.recipe


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_pools_of_processes(method: str, net: ApogeeNet, spectra: tuple[NDArray, NDArray]) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    work = [(net, *each, i) for i, each in enumerate(zip(*spectra, strict=True))]
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.starmap_async(labels_of, work).get(300) == expected(net, spectra)


@pytest.mark.slow
def test_joblib(net: ApogeeNet, spectra: tuple[NDArray, NDArray]) -> None:
    joblib = pytest.importorskip("joblib")
    work = (joblib.delayed(labels_of)(net, *each, i) for i, each in enumerate(zip(*spectra, strict=True)))
    assert joblib.Parallel(n_jobs=2, timeout=300)(work) == expected(net, spectra)


@pytest.mark.slow
def test_dask_map_partitions(net: ApogeeNet, spectra: tuple[NDArray, NDArray]) -> None:
    pa, pd = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")

    def with_teff(frame: Any, net: ApogeeNet) -> Any:
        labels = net.predict(frame["flux"], frame["error"], frame.index, draws=3)
        return frame[["obj"]].assign(teff=labels["teff"])

    # Arrow's lists: Dask would turn a column of numpy's arrays into text.
    arrays = pd.ArrowDtype(pa.list_(pa.float32()))
    flux, error = (pd.Series(list(values), dtype=arrays) for values in spectra)
    frame = pd.DataFrame({"obj": list("abcd"), "flux": flux, "error": error})
    meta = frame[["obj"]].assign(teff=np.float32(0))
    parts = dd.from_pandas(frame, npartitions=2).map_partitions(with_teff, net, meta=meta)
    found = parts.compute(scheduler="processes", num_workers=1)
    assert found["teff"].tolist() == net.predict(*spectra, draws=3)["teff"].tolist()


class Labels:
    """A data set of torch whose items are labels."""

    def __init__(self, net: ApogeeNet, flux: NDArray, error: NDArray) -> None:
        self.net, self.flux, self.error = net, flux, error

    def __len__(self) -> int:
        return len(self.flux)

    def __getitem__(self, i: int) -> bytes:
        return labels_of(self.net, self.flux[i], self.error[i], i)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_a_data_loader(method: str, net: ApogeeNet, spectra: tuple[NDArray, NDArray]) -> None:
    from torch.utils.data import DataLoader

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    loader: Any = DataLoader(
        Labels(net, *spectra),  # type: ignore[arg-type]
        batch_size=None,
        num_workers=1,
        multiprocessing_context=method,
        timeout=300,
    )
    assert list(loader) == expected(net, spectra)
