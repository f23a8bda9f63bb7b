"""What the coordinator and an engine process tell each other, in the bodies of their messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from apnet_fast.pipeline.arguments import RunArguments
from apnet_fast.pipeline.plan import Fingerprint
from apnet_fast.pipeline.settings import RunSettings
from apnet_fast.pipeline.shards import Marker
from apnet_fast.pipeline.times import StageTimes
from apnet_fast.pipeline.work import Done, Work


@dataclass(frozen=True)
class Orders:
    """What an engine process is asked for: the arguments of a run, its folder, and how to see that it is shared.

    token: the name of a file in the output folder that only the coordinator has made.
    """

    arguments: RunArguments
    folder: str
    token: str


@dataclass(frozen=True)
class Facts:
    """What an engine process is: the choices it made, and all that must be equal on every node of a run.

    settings: with the one device of this process. compared: by name, what must not differ. host, pid: where it runs.
    """

    settings: RunSettings
    compared: Mapping[str, str]
    host: str
    pid: int


@dataclass(frozen=True)
class Task:
    """A shard, and the fingerprint of the run that it belongs to."""

    work: Work
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Stored:
    """A shard that is stored: its marker, what went through the engine for it, and the seconds of each stage."""

    marker: Marker
    done: Done
    times: StageTimes
