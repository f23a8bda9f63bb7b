"""The console script has every command under its verb."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from apnet_fast import _version, documents, weights
from apnet_fast.cli import app
from apnet_fast.documents import first_line, leaves
from apnet_fast.plots.__main__ import app as plots_app
from apnet_fast.support import common_options
from apnet_fast.support.errors import UsageError
from apnet_fast.support.variables import VARIABLES
from apnet_fast.validate.__main__ import app as validate_app

VERBS = [
    "demo", "doctor", "documents", "flags", "pack", "plots", "predict", "recovery", "report", "reprocess", "simulate",
    "train", "tune", "validate", "weights",
]  # fmt: skip

GROUPS = {"documents": documents.app, "plots": plots_app, "validate": validate_app, "weights": weights.app}

LEAVES = dict(leaves(get_command(app)))
PAGE = Path(__file__).parents[1] / "docs" / "commands.md"


def test_every_verb_is_there() -> None:
    command = get_command(app)
    assert sorted(command.commands) == VERBS  # type: ignore[attr-defined]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_describes_itself(verb: str) -> None:
    done = CliRunner().invoke(app, [verb, "--help"])
    assert done.exit_code == 0
    assert f"{verb} [OPTIONS]" in done.output


def test_groups_keep_the_names_of_their_commands() -> None:
    groups = get_command(app).commands  # type: ignore[attr-defined]
    assert {name: sorted(groups[name].commands) for name in ("weights", "validate", "plots", "documents")} == {
        "weights": ["check", "export", "import", "random"],
        "validate": ["compare", "repeats"],
        "plots": ["curves", "kiel"],
        "documents": ["columns", "flags", "verbs"],
    }


@pytest.mark.parametrize("name", list(LEAVES))
def test_every_verb_has_the_common_options_and_a_line(name: str) -> None:
    verb = LEAVES[name]
    options = {option for parameter in verb.params for option in parameter.opts}
    assert {"--config", "--quiet", "-q", "--verbose", "-v", "--log", "--version", "--install-completion"} <= options
    assert ("--output" in options) <= ("-o" in options)
    assert first_line(verb.help).endswith(".")
    assert len(first_line(verb.help)) < 120


@pytest.mark.parametrize("verb", sorted({*VERBS, *LEAVES}))
def test_every_word_tells_the_version_and_installs_completion(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of two words as well, below the program and as a module of its own."""
    version = f"apnet_fast {_version.__version__}\n"
    installed = []

    def install(context: typer.Context, _: object, wanted: bool) -> None:
        installed.append(context.find_root().info_name)
        raise typer.Exit  # as the real one, which leaves the verb undone

    monkeypatch.setattr(common_options, "install_callback", install)
    applications = [(app, verb.split()), *([(GROUPS[verb], [])] if verb in GROUPS else [])]
    for application, words in applications:
        assert CliRunner().invoke(application, [*words, "--version"]).output == version
        CliRunner().invoke(application, [*words, "--install-completion"])
    assert installed == ["apnet-fast"] * len(applications)


def test_the_page_of_commands_has_every_verb_option_and_variable() -> None:
    printed = CliRunner().invoke(app, ["documents", "verbs"]).output
    assert all(f"| `{name}` | " in printed for name in (*LEAVES, *VARIABLES))
    assert printed.strip() in PAGE.read_text(encoding="utf-8")
    assert isinstance(CliRunner().invoke(documents.app, ["verbs"]).exception, UsageError)


def test_the_example_of_a_configuration_file_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = PAGE.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "site.toml").write_text(example)
    asked = {}
    monkeypatch.setattr(
        "apnet_fast.pipeline.defaults.complete_arguments", lambda **options: asked.update(options) or sys.exit(0)
    )
    assert CliRunner().invoke(app, ["reprocess", "--config", str(tmp_path / "site.toml"), "--seed", "5"]).exit_code == 0
    given = {name.replace("-", "_"): value for name, value in tomllib.loads(example).items()}
    assert len(given) > 5
    assert {**given, "output": Path(given["output"])} == {name: asked[name] for name in given}
    assert asked["seed"] == 5
    # --gpus of the file gives way to --device of the command line, which excludes it.
    CliRunner().invoke(app, ["reprocess", "--config", str(tmp_path / "site.toml"), "--device", "cpu"])
    assert (asked["gpus"], asked["device"]) == (None, "cpu")


def test_the_page_shows_what_is_missing_as_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    error = CliRunner().invoke(app, ["reprocess", "--gpus", "0,1"]).exception
    assert f"error: {error}\n" in PAGE.read_text(encoding="utf-8")


def test_the_program_installs_its_completion() -> None:
    options = {option for parameter in get_command(app).params for option in parameter.opts}
    assert {"--version", "--install-completion", "--show-completion"} <= options


def test_shells_complete_verbs_and_options() -> None:
    words = "apnet-fast weights im"
    environment = {**os.environ, "_APNET_FAST_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "apnet_fast"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["import"], done.stderr


def test_the_version_and_the_flags() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"apnet_fast {_version.__version__}\n"
    assert "NO_RESULT" in CliRunner().invoke(app, ["flags"]).output


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "apnet_fast", "--version"], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, f"apnet_fast {_version.__version__}\n")


@pytest.mark.parametrize(
    "words",
    [
        ["simulate", "--stars", "1", "--layout", "dr17"],
        ["pack", "tree"],
        ["weights", "export", "demo"],
        ["demo"],
    ],
    ids=" ".join,
)
def test_an_output_that_is_a_file_is_refused_before_any_work(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = CliRunner().invoke(app, [*words, "--output", str(tmp_path / "file")]).exception
    assert isinstance(error, UsageError)
    assert "the output is a file" in str(error)
    assert "expected a folder" in str(error)
    assert "Remedy: give another --output" in str(error)
