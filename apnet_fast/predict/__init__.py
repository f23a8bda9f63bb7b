"""Run ApogeeNet over the spectra of a few files, now: rows for the eye or for a small table, and a picture."""

from __future__ import annotations

from apnet_fast.predict.stars import Found, SpectrumResult, predict_files

__all__ = ["Found", "SpectrumResult", "predict_files"]
