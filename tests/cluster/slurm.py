"""A real Slurm of two nodes on this machine's loopback, with fake GPUs, for the tests of one module.

Needs root and Debian's slurmctld, slurmd, slurm-client and munge; everything it writes lies in one folder.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import time
from pathlib import Path

from tests.cluster.processes import wait_until

_PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel", "munged")
_CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
GresTypes=gpu
KillWait=10
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[16821-16822] CPUs=2 RealMemory=4000 Gres=gpu:2
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """Why Slurm cannot run here; None if it can."""
    missing = [program for program in _PROGRAMS if shutil.which(program, path=_path()) is None]
    if missing:
        return f"no {', '.join(missing)}: apt-get install slurmctld slurmd slurm-client munge"
    return None if os.geteuid() == 0 else "Slurm's daemons want root here"


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Slurm:
    """Two nodes, n1 and n2, of two cores and two fake GPUs each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        host = socket.gethostname().partition(".")[0]
        (folder / "state").mkdir(parents=True)
        (folder / "dev").mkdir()
        for number in (0, 1):
            os.mknod(folder / f"dev/nvidia{number}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        self.configuration = folder / "slurm.conf"
        self.configuration.write_text(_CONFIGURATION.format(host=host, folder=folder))
        (folder / "gres.conf").write_text(f"Name=gpu File={folder}/dev/nvidia[0-1]\n")
        self.environment = {**os.environ, "SLURM_CONF": str(self.configuration), "PATH": _path()}
        self._start_munge()
        self.run("slurmctld", "-c", "-f", str(self.configuration))
        for node in ("n1", "n2"):
            self.run("slurmd", "-N", node, "-f", str(self.configuration))
        wait_until(lambda: self.run("sinfo", "-h", "-o", "%A").strip() == "0/2", "two idle nodes", 60)

    def _start_munge(self) -> None:
        if subprocess.run(["munge", "-n"], capture_output=True, env=self.environment).returncode == 0:
            return
        Path("/run/munge").mkdir(exist_ok=True)
        shutil.chown("/run/munge", "munge", "munge")
        command = ["su", "-s", "/bin/sh", "munge", "-c", "munged --force"]
        subprocess.run(command, env=self.environment, capture_output=True, check=True)

    def run(self, *words: str) -> str:
        """Run a command of Slurm; return what it prints."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    def submit(self, script: Path) -> str:
        """Submit a batch script; return the number of the job."""
        return self.run("sbatch", "--parsable", "-D", str(script.parent), str(script)).strip()

    def state(self, job: str) -> str:
        """The job's state, such as RUNNING."""
        shown = self.run("scontrol", "show", "job", job)
        return shown.partition("JobState=")[2].partition(" ")[0]

    def exit_code(self, job: str) -> int:
        """Exit code of a job that has ended."""
        shown = self.run("scontrol", "show", "job", job)
        return int(shown.partition("ExitCode=")[2].partition(":")[0])

    def wait(self, job: str, *states: str, seconds: float = 300.0) -> None:
        """Wait until the job is in one of these states."""
        wait_until(lambda: self.state(job) in states, f"job {job} {' or '.join(states)}", seconds)

    def start_again(self, job: str) -> None:
        """Have a job that was put back into the queue start soon, not after the two minutes that Slurm leaves it there.

        Not at once: slurmd counts in whole seconds, and refuses a job that starts in the second in which its last
        attempt ended ("Job credential revoked").
        """
        self.run("scontrol", "update", f"JobId={job}", "StartTime=now+3")

    def close(self) -> None:
        """End jobs and daemons."""
        subprocess.run(["scancel", "--state=RUNNING"], env=self.environment, capture_output=True)
        subprocess.run(["scancel", "--state=PENDING"], env=self.environment, capture_output=True)
        time.sleep(1)
        for name in ("slurmd-n1", "slurmd-n2", "slurmctld"):
            pid = self.folder / f"{name}.pid"
            if pid.is_file():
                subprocess.run(["kill", pid.read_text().strip()], capture_output=True)
