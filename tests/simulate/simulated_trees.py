"""Simulated trees for the tests of this room, each written once a session."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from apnet_fast.simulate import simulate_tree
from apnet_fast.simulate.tree import TRUTH_FILE


def files_of(tree: Path) -> list[Path]:
    """The files that a tree's truth table names."""
    return [tree / path for path in pq.read_table(tree / TRUTH_FILE)["path"].to_pylist()]


class Trees:
    """Simulated trees by layout and number of visits; each is made on first use."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, layout: str, visits: int) -> list[Path]:
        """Files of two stars with `visits` visits."""
        tree = self.root / f"{layout}-{visits}"
        if not tree.exists():
            simulate_tree(tree, stars=2, layout=layout, visits=visits, seed=3)
        return files_of(tree)

    def edge_cases(self, layout: str) -> tuple[Path, dict[str, dict[str, object]]]:
        """Tree of edge cases alone, and its truth rows by case."""
        tree = self.root / f"{layout}-edge"
        if not tree.exists():
            simulate_tree(tree, stars=0, layout=layout, seed=5, edge_cases=True)
        return tree, {row["case"]: row for row in pq.read_table(tree / TRUTH_FILE).to_pylist()}


def contents(tree: Path) -> dict[str, bytes]:
    """Bytes of every file of a tree, and the target of every symlink."""
    return {
        path.relative_to(tree).as_posix(): (
            path.readlink().as_posix().encode() if path.is_symlink() else path.read_bytes()
        )
        for path in sorted(tree.rglob("*"))
        if path.is_symlink() or path.is_file()
    }
