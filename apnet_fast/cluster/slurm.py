"""`--cluster srun`: a Dask cluster inside a Slurm job, made for one run and ended with it.

The batch step is the coordinator; it starts the scheduler beside itself and one worker per task with `srun`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from apnet_fast.cluster.certificate import make_certificate
from apnet_fast.cluster.team import DaskTeam
from apnet_fast.pipeline.arguments import RunArguments
from apnet_fast.pipeline.settings import RunSettings
from apnet_fast.support.attempts import is_left_by_nfs
from apnet_fast.support.errors import Stopped, UsageError

if TYPE_CHECKING:
    from distributed import Client

_SECONDS_TO_START = 120.0
# Dask's commands, in the order in which they start.
_NAMES = ("dask_scheduler", "dask_worker")
_SECONDS_TO_END = 20.0
_CERTIFICATE_FILE, _SCHEDULER_FILE = "tls.pem", "scheduler.json"
_FILES = {_CERTIFICATE_FILE, _SCHEDULER_FILE, *(f"{name}.log" for name in _NAMES)}


class SlurmTeam(DaskTeam):
    """The tasks of the Slurm job that this process runs in compute the shards.

    Parameters as of `DaskTeam`. Raises UsageError outside a Slurm job, or if `srun` or a package is missing.
    """

    def __init__(
        self, *, resources: Mapping[str, float] | None = None, timeout: float = 600.0, silence: float = 1800.0
    ) -> None:
        if not os.environ.get("SLURM_JOB_ID"):
            raise UsageError(
                "--cluster srun works inside a Slurm job",
                got="no SLURM_JOB_ID in the environment",
                expected="a batch script, or an allocation by salloc",
                remedy="sbatch the script of docs/cluster.md, or give --cluster the address of a Dask scheduler",
            )
        if shutil.which("srun") is None:
            raise UsageError("srun is not found", expected="the commands of Slurm in PATH")
        super().__init__("", resources=resources, timeout=timeout, silence=silence)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._folder: Path | None = None

    def prepare(self, arguments: RunArguments, check: Callable[[], None]) -> RunSettings:
        """Start scheduler and workers, then do as `DaskTeam.prepare`."""
        arguments.output.mkdir(parents=True, exist_ok=True)
        prefix = f".cluster-{os.environ['SLURM_JOB_ID']}-"
        _remove_left(arguments.output, prefix)
        self._folder = Path(tempfile.mkdtemp(prefix=prefix, dir=arguments.output.absolute()))
        return super().prepare(arguments, check)

    def _look(self) -> None:
        """Do as `DaskTeam._look`, and see whether scheduler and workers still run."""
        for process, name in zip(self._processes, _NAMES, strict=False):
            if process.poll() is not None:
                raise Stopped(
                    f"the {name} of this job ended, with exit code {process.returncode}",
                    got=self._last_words(name),
                    remedy="mend what it says; then give the same command again",
                )
        super()._look()

    def _last_words(self, name: str) -> str:
        assert self._folder is not None
        with contextlib.suppress(OSError):
            return " ".join((self._folder / f"{name}.log").read_text("utf-8", "replace").splitlines()[-3:])
        return "no log"

    def _connected(self, check: Callable[[], None]) -> Client:
        from distributed import Client
        from distributed.utils import get_ip

        assert self._folder is not None
        certificate = make_certificate(self._folder / _CERTIFICATE_FILE)
        scheduler_file = self._folder / _SCHEDULER_FILE
        common = ["--scheduler-file", str(scheduler_file), "--no-dashboard", *certificate.words]
        # Where the workers reach this machine, and nowhere else.
        at = ("--protocol", "tls", "--host", get_ip(), "--port", "0")
        self._start("distributed.cli.dask_scheduler", *at, *common)
        self._wait_for(scheduler_file, check)
        cpus = os.environ.get("SLURM_CPUS_PER_TASK")
        srun = ["srun", "--no-kill", "--kill-on-bad-exit=0", "--wait=0", *([f"--cpus-per-task={cpus}"] if cpus else [])]
        self._start(
            "distributed.cli.dask_worker",
            *("--protocol", "tls", "--nthreads", "2", "--no-nanny", "--memory-limit", "0"),
            *("--local-directory", os.environ.get("TMPDIR", tempfile.gettempdir())),
            *("--death-timeout", str(int(_SECONDS_TO_START))),
            *common,
            before=srun,
        )
        return Client(
            scheduler_file=str(scheduler_file),
            security=certificate.security,
            timeout=_SECONDS_TO_START,
            set_as_default=False,
        )

    def _start(self, module: str, *words: str, before: list[str] | None = None) -> None:
        """Start a command of Dask; what it logs goes to a file beside the scheduler file."""
        assert self._folder is not None
        log = self._folder / f"{module.rpartition('.')[2]}.log"
        with log.open("wb") as out:
            # In a session of its own: a signal for the batch step is the coordinator's to answer.
            self._processes.append(
                subprocess.Popen(
                    [*(before or []), sys.executable, "-m", module, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def _wait_for(self, scheduler_file: Path, check: Callable[[], None]) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while not scheduler_file.is_file():
            check()
            if self._processes[0].poll() is not None or time.monotonic() > deadline:
                raise Stopped(
                    "the Dask scheduler does not start",
                    got=self._last_words("dask_scheduler"),
                    remedy="mend what it says; then give the same command again",
                )
            time.sleep(0.1)

    def close(self) -> None:
        """End the cluster: engines, workers, scheduler; and remove its folder with the key."""
        if self._scheduler is not None:
            self._scheduler.shut_down()
        super().close()
        for process in reversed(self._processes):
            self._end(process)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for a process that was asked to end; then ask once more, then insist."""
        for act in (lambda: None, process.terminate, process.terminate, process.kill):
            act()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_SECONDS_TO_END / 2)
                return


def _remove_left(output: Path, prefix: str) -> None:
    """Remove the folders of earlier attempts of this job, which Slurm has ended."""
    for left in output.glob(f"{prefix}*"):
        # What `mkdtemp` adds. A folder with anything else in it is the user's.
        if re.fullmatch("[a-z0-9_]{8}", left.name.removeprefix(prefix)) and not left.is_symlink():
            with contextlib.suppress(OSError):
                if all(name in _FILES or is_left_by_nfs(name) for name in os.listdir(left)):
                    shutil.rmtree(left)
