"""Fixtures of the report's tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing: drawing takes seconds, and most of a report is not about its figures."""
    monkeypatch.setattr("apnet_fast.report.words.figure_bytes", lambda figure, kind: b"<svg/>")
