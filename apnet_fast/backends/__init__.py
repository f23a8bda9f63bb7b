"""Serve other catalogue builders: their spectra in, their rows out.

`arrays` takes arrays and gives a structured array; `astra` keeps the contract of Astra's task. Both stand on `stream`,
which serves builders with their own spectra and rows. See docs/backends.md.
"""

from __future__ import annotations

from apnet_fast.backends import arrays, astra, stream

__all__ = ["arrays", "astra", "stream"]
