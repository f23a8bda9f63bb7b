"""Simulated apStar trees to try things on: `python -m apnet_fast.simulate`, `simulate_tree`."""

from __future__ import annotations

from apnet_fast.simulate.tree import simulate_tree

__all__ = ["simulate_tree"]
