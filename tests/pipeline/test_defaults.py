"""What a run takes from the environment, and what it says if something is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apnet_fast._version import __version__
from apnet_fast.networks.checkpoint import Checkpoint
from apnet_fast.networks.default_weights import IN_ASTRA
from apnet_fast.networks.metadata import read_header
from apnet_fast.networks.upstream import upstream_sha256
from apnet_fast.pipeline.defaults import complete_arguments
from apnet_fast.support.errors import UsageError, WeightsError
from tests.inputs.survey_tables import of_astra, records_of, write
from tests.sdss import TABLE, astras_folder, small_survey


@pytest.fixture(scope="module")
def sdss_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SAS_BASE_DIR of a survey of two stars with its mwmAllStar."""
    return small_survey(tmp_path_factory.mktemp("sas"))


@pytest.fixture
def sdss(sdss_tree: Path, tmp_path: Path, small_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SDSS's environment: the survey, and Astra's folder (returned) with its weights."""
    astra = astras_folder(tmp_path / "astra", small_checkpoint)
    monkeypatch.setenv("SAS_BASE_DIR", str(sdss_tree))
    monkeypatch.setenv("MWM_ASTRA", str(astra))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return astra


def refusal(**asked: object) -> str:
    """The message of arguments that cannot be completed."""
    with pytest.raises(UsageError) as raised:
        complete_arguments(**asked)  # type: ignore[arg-type]
    return str(raised.value)


def test_sdss_environment_gives_all(sdss: Path, sdss_tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = complete_arguments(device="cpu")
    checksum = upstream_sha256(sdss / IN_ASTRA, "v3")
    table = sdss_tree / TABLE
    assert found.output == sdss / f"apnet_fast-{__version__}-dr19"
    assert not found.output.exists()
    assert found.weights == sdss / f"apogeenet-v3-{checksum[:16]}.safetensors"  # beside the output
    assert (found.inputs, found.catalog, found.root) == ((), table, sdss_tree)
    said = capsys.readouterr().err
    for told in (checksum, str(table), str(found.output)):
        assert told in said


def test_the_other_variables(sdss: Path, small_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APNET_FAST_WEIGHTS", str(small_weights))
    monkeypatch.setenv("APNET_FAST_RECIPE", "astra-0.6")
    monkeypatch.setenv("APNET_FAST_DEVICE", "cpu,cpu")
    found = complete_arguments()
    assert (found.weights, found.recipe, found.device) == (small_weights, "astra-0.6", "cpu,cpu")
    assert found.output.name == f"apnet_fast-{__version__}-astra-0.6"
    assert not list(sdss.glob("*.safetensors"))


def test_what_is_asked_for_comes_before_the_environment(
    sdss: Path, small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in (("WEIGHTS", "none"), ("RECIPE", "none"), ("DEVICE", "cuda:7")):
        monkeypatch.setenv(f"APNET_FAST_{variable}", value)
    given = {"weights": small_weights, "recipe": "dr19", "device": "cpu", "output": tmp_path / "mine"}
    found = complete_arguments(**given, inputs=[str(tmp_path)], root=tmp_path, draws=3)  # type: ignore[arg-type]
    assert {name: getattr(found, name) for name in given} == given
    assert (found.inputs, found.catalog, found.root, found.draws) == ((str(tmp_path),), None, tmp_path, 3)


def test_an_empty_list_of_inputs_is_not_the_whole_survey(sdss: Path) -> None:
    assert refusal(inputs=[], device="cpu").startswith("no input")


def test_tables_of_several_telescopes_are_inputs(
    small_weights: Path, sdss_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sdsswork/mwm/apogee/spectro/redux/1.3/summary"
    folder.mkdir(parents=True)
    columns = of_astra(records_of(sdss_tree / "dr17"), "star")
    tables = [str(write(folder / f"allStar-1.3-{name}.fits", columns)) for name in ("apo25m", "lco25m")]
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path))
    found = complete_arguments(weights=small_weights, device="cpu")
    assert (found.inputs, found.catalog) == (tuple(tables), None)


def test_all_that_is_missing_is_named_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    said = refusal(gpus="0,1")
    assert said.startswith(
        "3 things are missing\n  GPUs: no such GPU is visible: cuda:0, cuda:1; this machine has none"
    )
    for name in ("--device", "--weights", "APNET_FAST_WEIGHTS", "MWM_ASTRA", str(IN_ASTRA), "SAS_BASE_DIR", "INPUT"):
        assert name in said
    monkeypatch.setenv("MWM_ASTRA", str(tmp_path / "none"))
    assert "output: MWM_ASTRA is " in refusal(device="cpu")
    assert "output" not in refusal(device="cpu", output=tmp_path)


def test_weights_and_recipes_that_cannot_be_used_are_among_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_weights: Path
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    empty, text = tmp_path / "astra", tmp_path / "README.md"
    (empty / IN_ASTRA).mkdir(parents=True)
    text.write_text("# Weights\n")
    begins = "3 things are missing\n  GPUs: no such GPU is visible: cuda:0; this machine has none\n"
    ways_out = "; or --weights FILE, or set APNET_FAST_WEIGHTS to a weights file, or MWM_ASTRA to Astra's folder with"

    monkeypatch.setenv("MWM_ASTRA", str(empty))
    said = refusal(gpus="0")
    assert said.startswith(begins)
    assert "\n  weights: the folder lacks model_chunk_0, " in said
    assert f"[{empty / IN_ASTRA}] (MWM_ASTRA)\n    Remedy: give the upstream folder" in said
    assert ways_out in said
    assert "\n  input: SAS_BASE_DIR is not set\n" in said

    monkeypatch.setenv("APNET_FAST_WEIGHTS", str(text))
    said = refusal(gpus="0")
    assert said.startswith(begins)
    assert f"[{text}] (APNET_FAST_WEIGHTS)\n    Remedy: " in said
    assert ways_out in said
    # What the user named is not to be had from the environment.
    said = refusal(gpus="0", weights=text)
    assert f"[{text}]\n    Remedy: " in said
    assert ways_out not in said

    said = refusal(weights=small_weights, device="cpu", recipe="nonsense")
    assert said.startswith("2 things are missing\n  input: SAS_BASE_DIR is not set\n")
    assert "\n  recipe: unknown recipe; got 'nonsense'; expected dr19 | astra-0.6 | bossnet-2\n    Remedy: " in said
    monkeypatch.setenv("APNET_FAST_RECIPE", "astra-2020")
    said = refusal(weights=small_weights, device="cpu")
    assert "\n  recipe: recipe not defined for ApogeeNet v3; got 'astra-2020'; " in said
    assert "(APNET_FAST_RECIPE)\n    Remedy: --recipe dr19, or " in said


@pytest.mark.parametrize("variable", [None, "APNET_FAST_WEIGHTS"])
def test_weights_that_cannot_be_used_are_an_error_of_their_own_kind(
    variable: str | None, sdss: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "README.md"
    text.write_text("# Weights\n")
    with pytest.raises(WeightsError) as expected:
        read_header(text)
    if variable is not None:
        monkeypatch.setenv(variable, str(text))
    with pytest.raises(WeightsError) as raised:
        complete_arguments(device="cpu", weights=text if variable is None else None)
    if variable is None:
        assert str(raised.value) == str(expected.value)
    else:
        assert str(raised.value).startswith(
            f"{expected.value.problem} ({variable}). Remedy: {expected.value.remedy}; or "
        )


def test_gpus_that_are_not_there_are_named_alone_and_first(
    monkeypatch: pytest.MonkeyPatch, sdss: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    said = refusal(gpus="0,1")
    assert said.startswith("no such GPU is visible; got cuda:1; this machine has 1: cuda:0 .. cuda:0")
    assert not list(sdss.glob("*.safetensors"))  # nothing was imported in vain
    assert capsys.readouterr().err == ""  # nor is anything said before
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert complete_arguments(gpus="0,1").gpus == "0,1"
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert complete_arguments(gpus="0,1", on_this_machine=False).gpus == "0,1"  # those of a cluster's workers


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"weights": "none.safetensors"}, "no such weights file; got none.safetensors"),
        ({"inputs": ["none", "nor-this"]}, "no such input; got none, nor-this"),
        ({"gpus": "a"}, "not a list of GPU numbers"),
        ({"device": "banana"}, "no such device; got 'banana'; expected cpu | cuda:0"),
        ({"recipe": "dr18"}, "unknown recipe"),
        ({"inputs": None, "root": Path("nowhere")}, "no input: nowhere, which is not a folder"),
    ],
)
def test_one_thing_that_is_wrong(asked: dict[str, object], words: str, sdss: Path) -> None:
    assert words in refusal(**({"device": None if "gpus" in asked else "cpu"} | asked))


def test_a_damaged_table_waits_for_gpus_that_are_not_there(
    sdss: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = tmp_path / "sas" / TABLE
    table.parent.mkdir(parents=True)
    table.write_bytes(b"SIMPLE  =" + bytes(5000))
    monkeypatch.setenv("SAS_BASE_DIR", str(tmp_path / "sas"))
    alone = refusal(device="cpu")
    assert alone.startswith(f"the newest summary table below {tmp_path / 'sas'} (SAS_BASE_DIR) was chosen as the input")
    assert str(table) in alone
    assert alone.count("Remedy") == 1
    assert "Remedy: give INPUT words" in alone
    assert alone.endswith("; or give --catalog TABLE")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    said = refusal(gpus="0")
    assert said.startswith("2 things are missing\n  GPUs: ")
    assert str(table) in said


def test_a_table_without_its_tree_names_the_root(sdss: Path, sdss_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAS_BASE_DIR")
    table = sdss_tree / TABLE
    assert refusal(inputs=[str(table)], device="cpu").startswith("no root: a table names its spectra")
    assert "--root FOLDER, or set SAS_BASE_DIR" in refusal(catalog=table, device="cpu")


def test_without_astra_the_output_is_in_the_current_folder(
    small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = complete_arguments(inputs=[str(tmp_path)], weights=small_weights, device="cpu")
    assert found.output == Path(f"apnet_fast-{__version__}-dr19")
    assert not os.listdir(tmp_path)


def test_an_output_that_cannot_be_made_names_both_ways_out(
    small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"inputs": [str(tmp_path)], "weights": small_weights, "device": "cpu"}
    expected = "give another --output, or set MWM_ASTRA to a folder that you may write in"
    for said in (
        refusal(**given, output=Path("/proc/zz")),
        refusal(**given, output=Path("/proc/zz"), scratch=tmp_path),
    ):
        assert said.startswith("the output folder cannot be made; got /proc/zz, where /proc ")
        assert expected in said
    monkeypatch.setenv("MWM_ASTRA", "/proc")
    said = refusal(**given)
    assert said.startswith("the output folder cannot be made; got /proc/apnet_fast-")
    assert expected in said
