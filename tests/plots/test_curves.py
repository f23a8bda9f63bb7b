"""Learning curves are drawn from a curves.json, and other files are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from apnet_fast.plots.curves import draw_curves, read_curves
from apnet_fast.support.errors import UsageError
from tests.plots.samples import EPOCHS


def test_losses_and_scatters_are_drawn() -> None:
    losses, scatters = draw_curves(EPOCHS).axes
    training, validation = losses.lines
    assert list(training.get_ydata()) == [1, 0.5, 0.25]
    assert list(validation.get_ydata()) == [0.5, 0.25, 0.125]
    assert list(scatters.lines[0].get_ydata()) == [1, 0.5, 0.25]
    assert scatters.lines[0].get_label() == "logg: 0.1"


def test_the_folder_will_do_and_values_may_be_unknown(tmp_path: Path) -> None:
    (tmp_path / "curves.json").write_text(json.dumps({"epochs": [{**epoch, "scatter_fe_h": None} for epoch in EPOCHS]}))
    draw_curves(read_curves(tmp_path))


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"epochs": []}', '{"epochs": [{"epoch": 1}]}', '{"other": 1}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "curves.json").write_text(text)
    with pytest.raises(UsageError, match="no learning curves"):
        read_curves(tmp_path / "curves.json")


@pytest.mark.timeout(30)
def test_what_is_no_file_is_refused_and_not_waited_for(put_no_file: Callable[[Path], None], tmp_path: Path) -> None:
    put_no_file(tmp_path / "curves.json")
    with pytest.raises(UsageError, match=r"no learning curves: .*not a regular file"):
        read_curves(tmp_path)
