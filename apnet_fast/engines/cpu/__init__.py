"""Compute v3 on CPUs: exact fp32, long convolutions in Fourier space, spectra in parallel.

`stem` makes noise realisations and the first activations; `fftconv` convolves with the transforms of `dft` on the SIMD
vectors of `vectors`; `network` prepares weights; `trunk` runs one row of the network, `linear` many; `engine` drives
them all.
"""

from __future__ import annotations

from apnet_fast.engines.cpu.engine import CpuEngine

__all__ = ["CpuEngine"]
