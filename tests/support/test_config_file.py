"""Configuration files that cannot be used are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from apnet_fast.support.config_file import read_config
from apnet_fast.support.errors import UsageError

app = typer.Typer(add_completion=False)


@app.command()
def command(
    draws: int = 20,
    json_file: str = typer.Option("", "--json"),
    tree: list[str] = typer.Option([]),  # noqa: B008
    restart: bool = typer.Option(False, "--restart"),
    threads: int = typer.Option(1, min=1),
    step: float = 1.0,
    output: Path = Path(),
) -> None:
    """Do nothing."""


def read(tmp_path: Path, text: str) -> dict[str, object]:
    path = tmp_path / "c.toml"
    path.write_text(text)
    return read_config(path, get_command(app).params)


def test_keys_are_the_long_names_of_options(tmp_path: Path) -> None:
    assert read(tmp_path, 'json = "x"\ndraws = 3\ntree = "a"') == {"json_file": "x", "draws": 3, "tree": ["a"]}
    assert read(tmp_path, 'tree = ["a", "b"]') == {"tree": ["a", "b"]}
    assert read(tmp_path, "") == {}
    text = 'restart = true\nthreads = 2\nstep = 3\noutput = "out"\ndraws = "3"'
    expected = {"restart": True, "threads": 2, "step": 3, "output": "out", "draws": "3"}
    assert read(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "drawz = 3",
            "not an option of this command; got 'drawz'; expected draws, json, output, restart, step, threads, tree",
        ),
        ("json_file = 'x'", "got 'json_file'"),
        ('config = "other.toml"', "got 'config'"),
        ("help = true", "got 'help'"),
        ("draws 3", "is not TOML"),
        ("[draws]\nx = 1", "a value that draws cannot take; got dict"),
        ("draws = [1, 2]", "a value that draws cannot take; got list"),
        ("draws = 2020-01-01", "got date"),
        ("tree = [[1]]", "a value that tree cannot take"),
        ('draws = "many"', "a value that draws cannot take; got 'many'; expected an integer"),
        ("draws = true", "a value that draws cannot take; got True; expected an integer"),
        ("draws = 2.5", "a value that draws cannot take; got 2.5; expected an integer"),
        ('restart = "yes"', "a value that restart cannot take; got 'yes'; expected true or false, without quotes"),
        ("restart = 1", "a value that restart cannot take; got 1; expected true or false"),
        ("threads = 0", "a value that threads cannot take; got 0; expected an integer of at least 1"),
        ('step = "far"', "a value that step cannot take; got 'far'; expected a number"),
        ("output = false", "a value that output cannot take; got False; expected a path in quotes"),
        ("tree = true", "a value that tree cannot take; got True; expected text, or a list of such"),
    ],
)
def test_what_cannot_be_used_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        read(tmp_path, text)
    assert message in str(raised.value)
    assert str(tmp_path / "c.toml") in str(raised.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the configuration file: No such file"):
        read_config(tmp_path / "none.toml", [])
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not TOML"):
        read_config(tmp_path / "binary.toml", [])


@pytest.mark.timeout(30)
def test_what_is_no_file_is_refused_and_not_waited_for(put_no_file: Callable[[Path], None], tmp_path: Path) -> None:
    put_no_file(tmp_path / "c.toml")
    with pytest.raises(UsageError, match=r"cannot read the configuration file: .*not a regular file"):
        read_config(tmp_path / "c.toml", get_command(app).params)
