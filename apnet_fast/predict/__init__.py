"""Run ApogeeNet over the spectra of a few files, now: rows for the eye or for a small table, and a picture."""
