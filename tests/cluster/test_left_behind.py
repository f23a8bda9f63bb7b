"""What an earlier attempt of a Slurm job left in the output folder goes; what only has such a name stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from apnet_fast.cluster.slurm import _remove_left

PREFIX = ".cluster-77-"


def plant(folder: Path, *names: str) -> None:
    folder.mkdir()
    for name in names:
        (folder / name).write_text("text")


@pytest.mark.parametrize(
    "names", [(), ("tls.pem",), ("tls.pem", "scheduler.json", "dask_scheduler.log", "dask_worker.log")]
)
def test_the_folder_of_an_earlier_attempt_is_removed(names: tuple[str, ...], tmp_path: Path) -> None:
    plant(tmp_path / f"{PREFIX}abc_1x9z", *names)
    _remove_left(tmp_path, PREFIX)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        (f"{PREFIX}notes", "tls.pem"),
        (f"{PREFIX}abc_1x9z", "notes.txt"),
        (f"{PREFIX}abc_1x9z", ".nfsnotes"),
        (f"{PREFIX}abc_1x9z.old", "tls.pem"),
        (".cluster-78-abc_1x9z", "tls.pem"),
    ],
)
def test_what_only_has_such_a_name_stays(folder: str, name: str, tmp_path: Path) -> None:
    plant(tmp_path / folder, "tls.pem", name)
    _remove_left(tmp_path, PREFIX)
    assert (tmp_path / folder / name).read_text() == "text"
    assert (tmp_path / folder / "tls.pem").read_text() == "text"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    plant(tmp_path / "elsewhere", "tls.pem")
    (tmp_path / f"{PREFIX}abc_1x9z").symlink_to(tmp_path / "elsewhere")
    (tmp_path / f"{PREFIX}abc_1x9y").write_text("a file")
    _remove_left(tmp_path, PREFIX)
    assert len(list(tmp_path.iterdir())) == 3
    assert (tmp_path / "elsewhere/tls.pem").exists()
