"""What `--cluster` and its companions mean."""

from __future__ import annotations

from apnet_fast.cluster.slurm import SlurmTeam
from apnet_fast.cluster.team import DaskTeam
from apnet_fast.support.errors import UsageError


def team_of(cluster: str, resources: str | None, timeout: float) -> DaskTeam:
    """Return the team that the words of the command line ask for.

    cluster: "srun", the address of a Dask scheduler, or its scheduler file (.json). resources: what a shard takes of a
    worker, such as "GPU=1". timeout: seconds to wait for a worker. Raises UsageError.
    """
    wanted = _resources(resources)
    if cluster == "srun":
        return SlurmTeam(resources=wanted, timeout=timeout)
    return DaskTeam(cluster, resources=wanted, timeout=timeout)


def _resources(words: str | None) -> dict[str, float]:
    found = {}
    for word in filter(None, (words or "").split(",")):
        name, _, amount = word.partition("=")
        try:
            found[name.strip()] = float(amount)
        except ValueError as error:
            raise UsageError(
                "--cluster-resources is not a list of resources", got=word, expected="NAME=NUMBER, such as GPU=1"
            ) from error
    return found
