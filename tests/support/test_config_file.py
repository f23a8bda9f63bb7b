"""Configuration files that cannot be used are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.main import get_command

from apnet_fast.support.config_file import read_config
from apnet_fast.support.errors import UsageError

app = typer.Typer(add_completion=False)


@app.command()
def command(draws: int = 20, json_file: str = typer.Option("", "--json"), tree: list[str] = typer.Option([])) -> None:  # noqa: B008
    """Do nothing."""


def read(tmp_path: Path, text: str) -> dict[str, object]:
    path = tmp_path / "c.toml"
    path.write_text(text)
    return read_config(path, get_command(app).params)


def test_keys_are_the_long_names_of_options(tmp_path: Path) -> None:
    assert read(tmp_path, 'json = "x"\ndraws = 3\ntree = "a"') == {"json_file": "x", "draws": 3, "tree": ["a"]}
    assert read(tmp_path, 'tree = ["a", "b"]') == {"tree": ["a", "b"]}
    assert read(tmp_path, "") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drawz = 3", "no option of this command; got 'drawz'; expected draws, json, tree"),
        ("json_file = 'x'", "got 'json_file'"),
        ('config = "other.toml"', "got 'config'"),
        ("help = true", "got 'help'"),
        ("draws 3", "is no TOML"),
        ("[draws]\nx = 1", "a value that draws cannot take; got dict"),
        ("draws = [1, 2]", "a value that draws cannot take; got list"),
        ("draws = 2020-01-01", "got date"),
        ("tree = [[1]]", "a value that tree cannot take"),
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
    with pytest.raises(UsageError, match="is no TOML"):
        read_config(tmp_path / "binary.toml", [])
