"""Simulate spectra to try things on, as apStar trees (`simulate_tree`) or in memory (`observed_arrays`)."""

from __future__ import annotations

from apnet_fast.simulate.arrays import ObservedArrays, observed_arrays
from apnet_fast.simulate.tree import simulate_tree

__all__ = ["ObservedArrays", "observed_arrays", "simulate_tree"]
