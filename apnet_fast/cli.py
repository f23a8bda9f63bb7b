"""The console script `apnet-fast VERB`: the same as `python -m apnet_fast.VERB`."""

from __future__ import annotations

import typer

from apnet_fast import flags, reprocess, simulate, weights
