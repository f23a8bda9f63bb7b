"""The options that every verb has, on a verb of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from apnet_fast._version import __version__
from apnet_fast.support import common_options
from apnet_fast.support.common_options import group_of_verbs, with_common_options
from apnet_fast.support.console import run_app
from apnet_fast.support.notices import detail, say, tell

app = typer.Typer(add_completion=False)


@app.command("verb")
@with_common_options
def verb_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder.")],
    inputs: Annotated[list[str] | None, typer.Argument()] = None,
    draws: Annotated[int, typer.Option(min=2)] = 20,
    title: Annotated[str, typer.Option()] = "",
    restart: Annotated[bool, typer.Option("--restart")] = False,
    tree: Annotated[list[str] | None, typer.Option("--tree", "--spectra")] = None,
) -> None:
    """Do something."""
    say("working")
    detail("details")
    tell("done")
    typer.echo(f"{output} {inputs} {draws} {title!r} {restart} {tree}")


def run(*words: str | Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    done = CliRunner().invoke(app, list(map(str, words)))
    return done.exit_code, done.stdout, done.stderr


def test_a_verb_keeps_its_own_options() -> None:
    assert run("-o", "out", "a", "b", "--draws", "5") == (
        0, "done\nout ['a', 'b'] 5 '' False None\n", "working\n",
    )  # fmt: skip
    assert run()[0] == 2  # --output is missing
    assert run("-o", "out", "--draws", "1")[0] == 2
    assert verb_command.__doc__ == "Do something."


def test_quiet_and_verbose() -> None:
    assert run("-o", "out", "-q") == (0, "out None 20 '' False None\n", "")
    first, *said, last = run("-o", "out", "--verbose")[2].splitlines()
    assert said == ["working", "details"]
    assert first.startswith(f"apnet_fast {__version__}, Python 3.")
    assert last.startswith("took ")
    assert "at once" in str(CliRunner().invoke(app, ["-o", "out", "-q", "-v"]).exception)


def test_the_log(tmp_path: Path) -> None:
    assert run("-o", "out", "--quiet", "--log", tmp_path / "log")[2] == ""
    logged = (tmp_path / "log").read_text()
    assert all(word in logged for word in ("working", "details", "done", "exit code 0"))


def test_the_log_has_the_traceback_of_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faulty = typer.Typer(add_completion=False)

    @faulty.command()
    @with_common_options
    def command() -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr("sys.argv", ["command", "--log", str(tmp_path / "log")])
    with pytest.raises(SystemExit) as ended:
        run_app(faulty)
    assert ended.value.code == 70
    logged = (tmp_path / "log").read_text()
    assert "Traceback" in logged
    assert "ZeroDivisionError: a fault" in logged


def test_a_group_of_verbs_has_options_before_the_verb() -> None:
    group = group_of_verbs("Do things.")
    group.command("verb")(verb_command)
    assert CliRunner().invoke(group, ["--version"]).output == f"apnet_fast {__version__}\n"
    assert "Do things." in CliRunner().invoke(group, ["--help"]).output
    assert CliRunner().invoke(group, ["verb", "-o", "out"]).exit_code == 0
    assert CliRunner().invoke(group, ["--quiet", "verb", "-o", "out"]).exit_code == 2


def test_the_version_needs_nothing_else() -> None:
    assert run("--version") == (0, f"apnet_fast {__version__}\n", "")


def test_completion_is_installed_for_the_console_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a verb was started as: a shell cannot complete `python -m`."""
    installed = []
    monkeypatch.setattr(
        common_options, "install_callback", lambda context, _, wanted: installed.append(context.info_name)
    )
    run("--install-completion", "-o", "out")
    assert installed == ["apnet-fast"]


def test_a_configuration_file_gives_any_option(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        'output = "here"\ninputs = ["a", "b"]\ndraws = 7\ntitle = "x"\nrestart = true\nspectra = "t"\nquiet = true\n'
    )
    assert run("--config", config) == (0, "here ['a', 'b'] 7 'x' True ['t']\n", "")
    # The command line comes first.
    assert run("--config", config, "c", "--draws", "9", "-o", "there")[1] == "there ['c'] 9 'x' True ['t']\n"
    config.write_text('output = "here"\ndraws = 1\n')
    wrong = CliRunner().invoke(app, ["--config", str(config)])
    assert f"a value that draws cannot take; got 1; expected an integer of at least 2 [{config}]" in str(
        wrong.exception
    )


def test_paragraphs_of_help_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    wordy = typer.Typer(add_completion=False)

    @wordy.command()
    @with_common_options
    def command() -> None:
        """Do something.

        This goes on for
        a while.

        And on.
        """

    assert command.__doc__ == "Do something.\n\nThis goes on for a while.\n\nAnd on."
    monkeypatch.setenv("COLUMNS", "100")
    said = CliRunner().invoke(wordy, ["--help"]).stdout
    assert "This goes on for a while." in said
