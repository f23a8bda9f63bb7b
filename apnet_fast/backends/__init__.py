"""ApogeeNet for other catalogue builders: their spectra in, their rows out.

`arrays` takes arrays and gives a structured array; `astra` keeps the contract of Astra's task; `stream` is what both
stand on, for builders with spectra and rows of their own. See docs/backends.md.
"""
