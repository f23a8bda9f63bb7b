"""`python -m apnet_fast.reprocess`: exit codes and messages."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from apnet_fast._version import __version__
from apnet_fast.networks.checkpoint import Checkpoint, load_checkpoint
from apnet_fast.networks.random import random_checkpoint
from apnet_fast.networks.v2 import ArchitectureV2
from apnet_fast.recipes.photometry import PHOTOMETRY_COLUMNS
from apnet_fast.reprocess import app
from apnet_fast.simulate import simulate_tree
from apnet_fast.support.console import run_app
from tests.inputs.survey_tables import records_of, write
from tests.sdss import astras_folder, small_survey


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two ordinary stars."""
    return simulate_tree(tmp_path_factory.mktemp("cli") / "tree", stars=2, layout="legacy", visits=1)


def reprocess(*words: str | Path, module: str = "apnet_fast.reprocess") -> tuple[int, str]:
    """Exit code and what was said on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", *module.split(), *map(str, words)], capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stderr


def test_done(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    code, said = reprocess(tree, "--weights", small_weights, "--output", tmp_path, "--draws", "2")
    assert code == 0, said
    assert "2 rows" in said
    assert "spectra/s" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_done_with_quarantined_spectra(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    words = (tree, tmp_path / "gone.fits", "--weights", small_weights, "--output", tmp_path / "out", "--draws", "2")
    code, said = reprocess(*words)
    assert code == 3
    assert "2 missing_file" in said
    # The same command again finds everything done, and says the same.
    code, said = reprocess(*words)
    assert code == 3
    assert "complete already" in said


def test_wrong_weights_name_the_key(tree: Path, small_checkpoint: Checkpoint, tmp_path: Path) -> None:
    state = dict(small_checkpoint.state)
    del state["res_blocks.0.bn1.running_mean"]
    weights = tmp_path / "wrong.safetensors"
    replace(small_checkpoint, state=state).save(weights)
    code, said = reprocess(tree, "--weights", weights, "--output", tmp_path / "out")
    assert code == 2
    assert "res_blocks.0.bn1.running_mean" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--recipe", "dr18"], "unknown recipe"),
        (["--engine", "warp"], "unknown engine"),
        (["--draws", "1"], "too few noise draws"),
        (["--recipe", "astra-0.6", "--draws", "2000"], "too many values"),
        (["--engine", "reference", "--device", "cuda"], "no such GPU"),
        (["--device", "cpu:9"], "no such device"),
        (["--precision", "fp16"], "cannot compute in this precision"),
        (["--device", "cuda:0"], "no such GPU"),
        (["--gpus", "0,1"], "no such GPU"),
        (["--gpus", "a"], "not a list of GPU numbers"),
        (["--engine", "cpu", "--device", "cuda:0"], "does not run on this device"),
        (["--spectra", "all"], "unknown --spectra"),
        (["--batch-size", "0"], "--batch-size is too small"),
        (["nowhere"], "no such input"),
    ],
)
def test_usage_errors(
    words: list[str],
    message: str,
    tree: Path,
    small_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [tree, *words, "--weights", small_weights, "--output", tmp_path / "out"]
    monkeypatch.setattr("sys.argv", ["reprocess", *map(str, given)])
    with pytest.raises(SystemExit) as ended:
        run_app(app)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()  # so that the right command is not refused for the wrong one's sake


@pytest.mark.slow
@pytest.mark.parametrize(("network", "recipe"), [("v2", "astra-0.6"), ("v1", "astra-2020")])
def test_the_network_follows_from_the_weights(network: str, recipe: str, tree: Path, tmp_path: Path) -> None:
    weights, output = tmp_path / "w.safetensors", tmp_path / "out"
    random_checkpoint(1, network=network).save(weights)
    code, said = reprocess(tree, "--weights", weights, "--output", output, "--device", "cpu", "--spectra", "star")
    assert code == 0, said
    fingerprint = json.loads((output / "run.json").read_text())["fingerprint"]
    expected = {"network": network, "recipe": recipe, "draws": 100, "engine": "cpu", "precision": "fp32"}
    assert {key: fingerprint[key] for key in expected} == expected
    assert ("2 of 2 spectra have no or incomplete photometry; give --catalog" in said) is (network == "v2")
    words = ("--engine", "triton", "--weights", weights, "--output", tmp_path / "other", "--device", "cpu")
    code, said = reprocess(tree, *words)
    assert (code, f"triton does not compute ApogeeNet {network}" in said) == (2, True), said


@pytest.mark.slow
def test_what_the_catalog_knew_is_said_at_the_end_and_again(tree: Path, tmp_path: Path) -> None:
    weights, output, catalog = tmp_path / "w.safetensors", tmp_path / "out", tmp_path / "allStar.parquet"
    random_checkpoint(1, architecture=ArchitectureV2(linear_dim=8)).save(weights)
    first, second = sorted(record.star.obj for record in records_of(tree) if record.product == "star")
    magnitudes = {name: [9.0, 9.0] for name in PHOTOMETRY_COLUMNS}
    write(catalog, {"obj": [first, second + "x"], **magnitudes})  # type: ignore[arg-type]
    words = (tree, "--catalog", catalog, "--weights", weights, "--output", output, "--device", "cpu", "--draws", "2")
    lines = (
        "catalog: star 1 none, 1 spectrum; visit 1 none, 1 source",
        "2 of 4 spectra have no or incomplete photometry",
    )
    for again in (False, True):
        code, said = reprocess(*words, "--shard-size", "1")
        assert code == 0, said
        assert ("complete already" in said) is again
        for line in lines:
            assert line in " ".join(said.split())
    # A run that goes on counts what an earlier one computed.
    (output / "shards" / "000001" / "marker.json").unlink()
    code, said = reprocess(*words, "--shard-size", "1")
    assert "going on" in said
    assert all(line in " ".join(said.split()) for line in lines)
    assert json.loads((output / "run.json").read_text())["incomplete_photometry"] == 2


@pytest.mark.slow
def test_an_output_that_is_a_file_is_a_usage_error(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "afile").touch()
    code, said = reprocess(tree, "--weights", small_weights, "--output", tmp_path / "afile")
    assert code == 2
    assert "afile" in said
    assert "Traceback" not in said
    code, said = reprocess("random", "--output", tmp_path, module="apnet_fast.weights")
    assert code == 2
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["afile"]


def test_all_that_is_missing_is_named_at_once(tree: Path) -> None:
    code, said = reprocess("--gpus", "0,1") if not torch.cuda.is_available() else reprocess()
    assert code == 2
    lines = [line.split(":")[0].strip() for line in said.splitlines() if not line.startswith("    ")]
    assert lines == ["error", *(["GPUs"] if not torch.cuda.is_available() else []), "weights", "input"]


@pytest.fixture
def sdss(tmp_path: Path, small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SDSS's environment; Astra's folder is returned."""
    monkeypatch.setenv("SAS_BASE_DIR", str(small_survey(tmp_path / "sas")))
    monkeypatch.setenv("MWM_ASTRA", str(astras_folder(tmp_path / "astra", small_checkpoint)))
    return tmp_path / "astra"


@pytest.mark.slow
def test_as_it_stands_in_the_environment_of_sdss(sdss: Path) -> None:
    """`reprocess` with nothing but a device: --gpus 0,1 where there are GPUs."""
    code, said = reprocess("--device", "cpu")
    assert code == 0, said
    output = sdss / f"apnet_fast-{__version__}-dr19"
    assert json.loads((output / "run.json").read_text())["rows"] == {"star": 2, "visit": 2}
    (weights,) = sdss.glob("apogeenet-v3-*.safetensors")
    assert load_checkpoint(weights).source_sha256 in said
    assert "catalog: star 2 spectrum; visit 2 source" in " ".join(said.split())  # the table fills the source columns
    # Again, it is done, and the weights are not imported again.
    before = weights.stat().st_mtime_ns
    code, said = reprocess("--device", "cpu")
    assert (code, "complete already" in said) == (0, True), said
    assert weights.stat().st_mtime_ns == before


def test_a_dry_run_leaves_nothing_behind(
    sdss: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(sdss.parent.rglob("*"))
    monkeypatch.setattr("sys.argv", ["reprocess", "--device", "cpu", "--dry-run"])
    with pytest.raises(SystemExit) as ended:
        run_app(app)
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "2 star spectra, 2 visit spectra" in printed
    assert printed.endswith("nothing was computed or written\n")
    assert sorted(sdss.parent.rglob("*")) == before
    monkeypatch.setattr("sys.argv", ["reprocess", "--dry-run", "--cluster", "srun"])
    with pytest.raises(SystemExit) as ended:
        run_app(app)
    assert ended.value.code == 2
    assert "--dry-run and --cluster at once" in capsys.readouterr().err


@pytest.mark.slow
def test_a_configuration_file_holds_the_whole_command(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(
        f'inputs = ["{tree}"]\nweights = "{small_weights}"\noutput = "{tmp_path / "out"}"\n'
        f'device = "cpu"\ndraws = 2\nspectra = "star"\nquiet = true\nlog = "{tmp_path / "log"}"\n'
    )
    code, said = reprocess("--config", tmp_path / "run.toml", "--seed", "7")
    assert (code, said) == (0, "")
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (record["rows"], record["fingerprint"]["draws"], record["fingerprint"]["seed"]) == ({"star": 2}, 2, 7)
    assert "2 rows, in HDU 2" in (tmp_path / "log").read_text()


def test_stopped(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    code, said = reprocess(
        tree, tmp_path / "gone.fits", "--weights", small_weights, "--output", tmp_path / "out",
        "--draws", "2", "--max-failures", "0",
    )  # fmt: skip
    assert code == 4
    assert "too many spectra without a result" in said


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", "cpu,cpu"])
def test_too_little_memory_is_said(device: str, tree: Path, small_weights: Path, tmp_path: Path) -> None:
    words = (tree, "--weights", small_weights, "--output", tmp_path / "out", "--engine", "null", "--device", device)
    code, said = reprocess(*words, "--batch-size", "1000000000")
    assert code == 4
    assert "stopped: not enough memory" in said
    assert "--batch-size" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_the_console_script_is_the_same(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("apnet-fast")
    if not script.exists():
        pytest.skip("the package is not installed beside this Python")
    for words in (["--version"], ["flags"], ["weights", "--help"], ["simulate", "--help"], ["reprocess", "--help"]):
        done = subprocess.run([script, *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [script, "reprocess", tree, "--weights", small_weights, "--output", tmp_path, "--recipe", "dr18"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "unknown recipe" in done.stderr
