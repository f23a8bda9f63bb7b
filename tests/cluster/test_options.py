"""The words behind --cluster, and what they cannot be."""

from __future__ import annotations

import sys

import pytest

from apnet_fast.cluster.options import team_of
from apnet_fast.cluster.team import DaskTeam
from apnet_fast.support.errors import UsageError


def test_resources_are_numbers() -> None:
    team = team_of("tcp://nowhere:1", "GPU=1, memory=2e9", 5)
    assert isinstance(team, DaskTeam)
    assert team._resources == {"GPU": 1.0, "memory": 2e9}
    assert team_of("tcp://nowhere:1", None, 5)._resources is None
    with pytest.raises(UsageError, match=r"not a list of resources; got 'GPU'|not a list of resources; got GPU"):
        team_of("tcp://nowhere:1", "GPU", 5)


def test_srun_wants_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(UsageError, match=r"inside a Slurm job.*docs/cluster\.md"):
        team_of("srun", None, 5)
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="srun is not found"):
        team_of("srun", None, 5)


def test_without_dask_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'apnet_fast\[cluster\]'"):
        team_of("tcp://nowhere:1", None, 5)
