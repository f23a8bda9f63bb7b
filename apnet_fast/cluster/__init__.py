"""Beyond one machine: a run on a Dask cluster, or inside a Slurm job.

    from apnet_fast.cluster import DaskTeam
    from apnet_fast.pipeline.run import RunArguments, run

    run(RunArguments(inputs, weights, output), team=DaskTeam("tcp://host:8786"))

What Dask imports on its workers (this module, `node` and `messages`) uses the standard library alone. Importing torch
or numba there would hold up the worker's event loop until the scheduler takes it for dead. So `DaskTeam` is imported
on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apnet_fast.cluster.team import DaskTeam

__all__ = ["DaskTeam"]


def __getattr__(name: str) -> Any:
    if name == "DaskTeam":
        from apnet_fast.cluster.team import DaskTeam

        return DaskTeam
    raise AttributeError(f"module 'apnet_fast.cluster' has no attribute {name!r}")
