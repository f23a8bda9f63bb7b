"""The examples of docs/backends.md run as they stand, one after another, without a warning."""

from __future__ import annotations

import inspect
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apnet_fast import ApogeeNet
from apnet_fast.backends.astra import error_of
from tests.engines.battery import ordinary_spectra

PAGE = Path(__file__).parents[2] / "docs" / "backends.md"
# Needs Astra, or what stands in for it; starts processes.
OF_ASTRA, OF_PROCESSES = "@task", "joblib"


def examples_of_the_page() -> list[str]:
    """The blocks of Python, in their order."""
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_examples_run_as_they_stand(
    small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "random.safetensors").write_bytes(small_weights.read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    said = []
    for example in examples_of_the_page():
        if OF_ASTRA in example or OF_PROCESSES in example:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(example, names)
        said.append(capsys.readouterr().out)
    assert len(said) >= 5
    assert len(said[-1].splitlines()) == 6
    assert "no flux" in said[-1].splitlines()[3]


@pytest.mark.slow
def test_the_example_with_other_processes(
    small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("joblib")
    (tmp_path / "random.safetensors").write_bytes(small_weights.read_bytes())
    monkeypatch.chdir(tmp_path)
    examples = examples_of_the_page()
    chosen = [*examples[:2], next(example for example in examples if OF_PROCESSES in example)]
    names: dict[str, object] = {"__name__": "__main__"}
    for example in chosen:
        capsys.readouterr()
        exec(example, names)
    assert capsys.readouterr().out.split() == ["True"]


def test_the_task_keeps_the_contract_of_astra(
    small_weights: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    pytest.importorskip("peewee")
    from tests.backends import astra_package

    (example,) = [each for each in examples_of_the_page() if OF_ASTRA in each]
    assert "group_by=" not in example  # Astra looks for it in the source of a task
    flux, error = (values.astype(np.float64) for values in ordinary_spectra(rng, 8))
    flux[5] = np.nan
    with np.errstate(divide="ignore"):
        ivar = np.where(np.isfinite(error) & (error > 0), error**-2, 0)
    model = astra_package.install(monkeypatch, flux, ivar)
    monkeypatch.setenv("APNET_FAST_WEIGHTS", str(small_weights))
    monkeypatch.setenv("APNET_FAST_DEVICE", "cpu")
    for name in ("RECIPE", "ROOT"):
        monkeypatch.delenv(f"APNET_FAST_{name}", raising=False)
    names: dict[str, Any] = {}
    # Not with this module's `annotations` of the future: Astra reads the annotations themselves.
    exec(compile(example, str(PAGE), "exec", dont_inherit=True), names)
    task = names["apogeenet"]
    signature = inspect.signature(task)
    assert signature.return_annotation.__args__ == (model,)
    assert signature.parameters["spectra"].annotation.__args__[0].__name__ == "Coadd"
    assert list(signature.parameters) == ["spectra", "num_uncertainty_draws", "limit", "kwargs"]

    first = list(task(limit=3, num_uncertainty_draws=3))
    assert [row.spectrum_pk for row in first] == [0, 1, 2]
    rest = list(task(num_uncertainty_draws=3))
    assert [row.spectrum_pk for row in rest] == [3, 4, 5, 6, 7]
    assert list(task(num_uncertainty_draws=3)) == []
    saved = list(model.select().order_by(model.spectrum_pk))
    assert [row.source_pk for row in saved] == list(range(100, 108))
    assert [bool(row.flag_runtime_exception) for row in saved] == [i == 5 for i in range(8)]
    net = ApogeeNet.load(small_weights, recipe="astra-0.6", device="cpu")
    expected = net.predict(flux, error_of(ivar), range(8), draws=3)
    for name in ("teff", "e_logg", "raw_e_fe_h"):
        values = [np.nan if getattr(row, name) is None else getattr(row, name) for row in saved]
        assert np.array_equal(np.float32(values), expected[name], equal_nan=True)
    assert all(row.v_astra == "0.6.0" and row.t_overhead >= 0 for row in saved)
    # Rows of another version do not count as done.
    model.update(v_astra="0.5.0").where(model.spectrum_pk == 6).execute()
    assert [row.spectrum_pk for row in task(num_uncertainty_draws=3)] == [6]
