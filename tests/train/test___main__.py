"""The command: what its words become, and one small training by them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from apnet_fast.networks.checkpoint import load_checkpoint
from apnet_fast.support.errors import UsageError
from apnet_fast.train.__main__ import app
from apnet_fast.train.settings import TrainSettings


def settings_of_words(words: list[str], monkeypatch: pytest.MonkeyPatch) -> TrainSettings:
    """The settings that the command would train with."""
    given: list[TrainSettings] = []
    monkeypatch.setattr("apnet_fast.train.run.train", lambda settings, restart: given.append(settings))
    result = CliRunner().invoke(app, ["--labels", "t.parquet", "--output", "w.safetensors", *words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return given[0]


def test_trees_have_an_old_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of_words(["--tree", "a", "--spectra", "b", "--device", "cpu"], monkeypatch)
    assert settings.trees == ("a", "b")
    assert (settings.network, settings.products) == ("v3", "star")


def test_device_and_recipe_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APNET_FAST_DEVICE", "cpu")
    monkeypatch.setenv("APNET_FAST_RECIPE", "bossnet-2")
    settings = settings_of_words(["--tree", "a"], monkeypatch)
    assert (settings.device, settings.recipe) == ("cpu", "bossnet-2")
    assert settings_of_words(["--tree", "a", "--recipe", "dr19"], monkeypatch).recipe == "dr19"


def test_augmentation_and_columns_come_from_their_options(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--tree", "a", "--noise", "0.7", "--drop-segments", "3", "--column", "teff=TEFF_SPEC", "--device", "cpu"]
    settings = settings_of_words(words, monkeypatch)
    assert (settings.augmentation.noise, settings.augmentation.segments) == (0.7, 3)
    assert settings.columns == {"teff": "TEFF_SPEC"}
    assert settings_of_words(["--tree", "a", "--device", "cpu"], monkeypatch).augmentation.noise == 1.5


@pytest.mark.parametrize(
    ("text", "message"), [("- 1\n- 2\n", "not a mapping"), ("a: [", "cannot read"), (None, "read")]
)
def test_model_arguments_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, message: str
) -> None:
    path = tmp_path / "sizes.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=message):
        settings_of_words(["--tree", "a", "--model-args", str(path), "--device", "cpu"], monkeypatch)


@pytest.mark.slow
def test_the_command_line_trains_v1(tmp_path: Path, labelled_tree: Path) -> None:
    (tmp_path / "sizes.yaml").write_text("channels: [4, 4, 4, 8]\nlinear_dim: 8\n")
    words = ["--tree", labelled_tree, "--labels", labelled_tree / "truth.parquet", "--output", tmp_path / "w1"]
    words += ["--network", "v1", "--model-args", tmp_path / "sizes.yaml", "--epochs", 1, "--batch-size", 8]
    words += ["--validation", 0.25, "--report-draws", 2, "--device", "cpu"]
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0
    checkpoint = load_checkpoint(tmp_path / "w1")
    assert checkpoint.network == "v1"
    assert checkpoint.scaling.names == ("logg", "teff", "fe_h")


@pytest.mark.timeout(60)
def test_model_arguments_that_are_no_file_are_not_waited_for(
    put_no_file: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_no_file(tmp_path / "args.yaml")
    with pytest.raises(UsageError, match=r"cannot read the model arguments: .*not a regular file"):
        settings_of_words(["--tree", "a", "--model-args", str(tmp_path / "args.yaml"), "--device", "cpu"], monkeypatch)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: 2020-99-99", b"[" * 5000], ids=["no text", "no date", "deep"])
def test_model_arguments_that_break_parsers_are_refused(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "args.yaml").write_bytes(content)
    with pytest.raises(UsageError, match="cannot read the model arguments"):
        settings_of_words(["--tree", "a", "--model-args", str(tmp_path / "args.yaml"), "--device", "cpu"], monkeypatch)
