"""Trees of hard links, made once and whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from apnet_fast.networks.checkpoint import load_checkpoint
from benchmarks import inputs
from benchmarks.inputs import linked_tree


def test_a_tree_of_links_costs_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_DIFFERENT", 4)
    tree = linked_tree(tmp_path, 10)
    files = list(tree.rglob("*.fits"))
    assert len(files) == 10
    assert len({path.stat().st_ino for path in files}) == 4
    assert linked_tree(tmp_path, 10) == tree


def test_an_interrupted_simulation_is_not_taken_for_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(folder: Path, **how: object) -> None:
        (folder / "half").mkdir(parents=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(inputs, "simulate_tree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            linked_tree(tmp_path, 3)
    monkeypatch.setattr(inputs, "_DIFFERENT", 2)
    assert len(list(linked_tree(tmp_path, 3).rglob("*.fits"))) == 3
    assert not list(tmp_path.rglob("half"))


@pytest.mark.slow
def test_weights_are_saved_once_and_found_again(tmp_path: Path) -> None:
    path, checkpoint = inputs.weights(tmp_path)
    made = path.stat().st_mtime_ns
    assert load_checkpoint(path).state.keys() == checkpoint.state.keys()
    assert inputs.weights(tmp_path)[0].stat().st_mtime_ns == made
