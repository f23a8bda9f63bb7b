"""An output folder has one run at a time, on whatever machine; the lock of one that ended is taken over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from apnet_fast.support import lock
from apnet_fast.support.errors import Stopped, UsageError
from apnet_fast.support.lock import HOLDER_FILE, LOCK_FOLDER, Holder, holder_of, locked, this_process

HOLD = """
import sys
from pathlib import Path
from apnet_fast.support.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""

# Adds one to a number in a file, so slowly that two at once would lose counts.
COUNT = """
import random, sys, time
from pathlib import Path
from apnet_fast.support.errors import UsageError
from apnet_fast.support.lock import locked
folder = Path(sys.argv[1])
done = 0
while done < int(sys.argv[2]):
    try:
        with locked(folder):
            number = int((folder / "number").read_text())
            time.sleep(random.uniform(0, 0.005))
            (folder / "number").write_text(str(number + 1))
            done += 1
    except UsageError:
        time.sleep(random.uniform(0, 0.01))
"""


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short times, and processes of which this machine cannot know whether they live."""
    monkeypatch.setattr(lock, "_machine", lambda: "")
    monkeypatch.setattr(lock, "_SECONDS_PER_BEAT", 0.05)
    monkeypatch.setattr(lock, "_SECONDS_BETWEEN_LOOKS", 0.02)
    monkeypatch.setattr(lock, "_SECONDS_OF_PATIENCE", 1.0)


def left_behind(folder: Path, **changes: str) -> Holder:
    """The lock of a process that is silent."""
    holder = replace(this_process(), **changes)  # type: ignore[arg-type]
    (folder / LOCK_FOLDER).mkdir()
    (folder / LOCK_FOLDER / HOLDER_FILE).write_text(json.dumps(asdict(holder)))
    return holder


def holding(folder: Path) -> subprocess.Popen[str]:
    """A process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=60)


def test_a_second_run_is_refused_and_learns_who_holds_the_folder(tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(UsageError, match="another run") as refused, locked(tmp_path):
            pass
        holder = holder_of(tmp_path)
        assert holder is not None
        assert (holder.host, holder.pid) == (this_process().host, os.getpid())
        assert f"process {os.getpid()} on {holder.host} since {holder.since}" in str(refused.value)
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_is_taken_over_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = holding(tmp_path)
    end(process)
    with locked(tmp_path):
        assert holder_of(tmp_path) == replace(this_process(), **_own(tmp_path))
    assert f"taken over from process {process.pid} on" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def _own(folder: Path) -> dict[str, str]:
    holder = holder_of(folder)
    assert holder is not None
    return {"since": holder.since, "token": holder.token}


def test_a_process_that_is_stopped_still_holds_its_lock(tmp_path: Path) -> None:
    process = holding(tmp_path)
    try:
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(UsageError, match=f"held by process {process.pid}"), locked(tmp_path):
            pass
    finally:
        end(process)


def test_a_number_that_another_process_has_now_proves_nothing(tmp_path: Path) -> None:
    left_behind(tmp_path, started="1")
    with locked(tmp_path):
        pass


@pytest.mark.usefixtures("elsewhere")
def test_on_another_machine_signs_of_life_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with locked(tmp_path):
        with pytest.raises(UsageError, match="another run"), locked(tmp_path):
            pass
        assert "waiting for a sign of life" in capsys.readouterr().err
    silent = left_behind(tmp_path, host="node7")
    with locked(tmp_path):
        assert holder_of(tmp_path) != silent
    assert "taken over from process" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("content", ["", "[]", "{}", None])
def test_a_lock_that_names_nobody_is_taken_over_after_the_same_time(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / LOCK_FOLDER).mkdir()
    if content is not None:
        (tmp_path / LOCK_FOLDER / HOLDER_FILE).write_text(content)
    with locked(tmp_path):
        pass
    said = capsys.readouterr().err
    assert content is None or "taken over from an unknown process" in said


@pytest.mark.usefixtures("elsewhere")
def test_a_requeued_job_knows_that_its_earlier_attempt_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    left_behind(tmp_path, job="77", restarts="0", host="node7")
    with locked(tmp_path):
        pass
    said = capsys.readouterr().err
    assert "Slurm job 77" in said
    assert "waiting" not in said


@pytest.mark.usefixtures("elsewhere")
def test_who_slept_too_long_learns_that_the_folder_is_not_his(tmp_path: Path) -> None:
    heard: list[Stopped] = []
    with locked(tmp_path, on_loss=heard.append):
        (tmp_path / LOCK_FOLDER).rename(tmp_path / "aside")  # as another run does
        other = left_behind(tmp_path, host="node7")
        deadline = time.monotonic() + 30
        while not heard:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert "node7" in str(heard[0])
    assert holder_of(tmp_path) == other  # it is not released by who has lost it


@pytest.mark.usefixtures("elsewhere")
def test_who_slept_while_another_run_came_and_went_learns_so_too(tmp_path: Path) -> None:
    heard: list[Stopped] = []
    with locked(tmp_path, on_loss=heard.append):
        (tmp_path / LOCK_FOLDER).rename(tmp_path / "aside")
        deadline = time.monotonic() + 30
        while not heard:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert "its lock has gone" in str(heard[0])


def test_a_process_that_is_hidden_still_holds_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As other users' processes are where /proc is mounted with hidepid."""
    left_behind(tmp_path)
    monkeypatch.setattr(lock, "_state_of", lambda pid: ("", ""))
    with pytest.raises(UsageError, match="another run"), locked(tmp_path):
        pass


def test_a_lock_that_was_released_and_taken_while_it_was_judged_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_behind(tmp_path, started="1")
    judged: Callable[[Holder], bool | None] = Holder.has_ended.fget  # type: ignore[attr-defined]
    lives: list[Holder] = []

    def judge_slowly(holder: Holder) -> bool | None:
        verdict = judged(holder)
        if verdict and not lives:
            # Between the verdict and the renaming, the lock is released and another process takes it.
            (tmp_path / LOCK_FOLDER / HOLDER_FILE).unlink()
            (tmp_path / LOCK_FOLDER).rmdir()
            lives.append(left_behind(tmp_path))
        return verdict

    monkeypatch.setattr(Holder, "has_ended", property(judge_slowly))
    with pytest.raises(UsageError, match="another run"), locked(tmp_path):
        pass
    assert holder_of(tmp_path) == lives[0]


@pytest.mark.parametrize("content", ["", '{"host": "node7", "pid": 12, "since": "2026-01-01T00:00:00+00:00"}\n'])
def test_the_lock_file_of_earlier_versions_is_no_obstacle(content: str, tmp_path: Path) -> None:
    (tmp_path / LOCK_FOLDER).write_text(content)
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def plant(folder: Path, name: str, content: str = "mine") -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)


def contents(folder: Path) -> dict[str, str]:
    """Every entry below a folder, and what is in it."""
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else str(path.lstat().st_mode)
        for path in folder.rglob("*")
    }


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".lock", "mine"),
        (".lock", " "),
        (".lock", '["host", "pid", "since"]'),
        (".lock", '{"host": "a", "pid": 1, "since": "", "mine": 1}'),
        (".lock/thesis.txt", "mine"),
        (".lock/holder.json/thesis.txt", "mine"),
        (".lock/holder.json", "mine"),
        (".lock/holder.json", '{"mine": 1}'),
        (".lock/.nfsnotes", "mine"),
    ],
)
def test_a_lock_of_the_user_is_refused_and_left_as_it_is(name: str, content: str, tmp_path: Path) -> None:
    plant(tmp_path, name, content)
    before = contents(tmp_path)
    for _ in range(2):
        with pytest.raises(UsageError, match=r"\.lock that no run of apnet_fast made"), locked(tmp_path):
            pass
    assert contents(tmp_path) == before


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("beside_our_own", [False, True])
def test_a_file_in_a_lock_of_ours_is_the_users_all_the_same(beside_our_own: bool, tmp_path: Path) -> None:
    left_behind(tmp_path, host="node7")
    plant(tmp_path, ".lock/thesis.txt")
    with pytest.raises(UsageError, match="no run of apnet_fast made"), locked(tmp_path):
        pass
    (tmp_path / LOCK_FOLDER).rename(tmp_path / "mine")
    with locked(tmp_path):
        if beside_our_own:
            plant(tmp_path, ".lock/notes.txt")
    kept = {path.name for path in tmp_path.rglob("*.txt")}
    assert kept == ({"thesis.txt", "notes.txt"} if beside_our_own else {"thesis.txt"})


@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "link to nothing", "pipe"])
def test_a_lock_that_is_no_folder_is_refused_without_opening_it(kind: str, tmp_path: Path) -> None:
    folder, lock_path = tmp_path / "out", tmp_path / "out" / LOCK_FOLDER
    folder.mkdir()
    if kind == "pipe":
        os.mkfifo(lock_path)
    else:
        (tmp_path / "file").touch()
        (tmp_path / "folder").mkdir()
        lock_path.symlink_to(tmp_path / kind.rpartition(" ")[2])
    with pytest.raises(UsageError, match="no run of apnet_fast made"), locked(folder):
        pass
    assert os.path.lexists(lock_path)


@pytest.mark.parametrize(
    "name",
    [
        ".lock.backup/thesis.txt",
        ".lock.my.abandoned/thesis.txt",
        ".lock.unknown.abandoned/thesis.txt",
        ".lock.old",
        f".lock.{'a' * 32}/thesis.txt",
        f".lock.{'a' * 32}.abandoned/thesis.txt",
        f".lock.{'a' * 32}.abandoned/holder.json",
        f".lock.{'a' * 32}.abandoned/.nfsnotes",
        f".lock.{'a' * 32}",
        f".lock.{'A' * 32}.abandoned/holder.json",
        f".lock.{'a' * 32}.abandoned.txt",
    ],
)
def test_what_only_looks_like_a_lock_put_aside_stays(name: str, tmp_path: Path) -> None:
    plant(tmp_path, name)
    for path in (tmp_path / name, (tmp_path / name).parent):
        os.utime(path, (0, 0))
    before = contents(tmp_path)
    with locked(tmp_path):
        pass
    assert contents(tmp_path) == before


def test_what_take_overs_and_kills_left_is_removed(tmp_path: Path) -> None:
    for token, content in (("1" * 32, None), ("2" * 32, ""), ("3" * 32, "whole"), ("unknown", '{"host": "no')):
        folder = tmp_path / f".lock.{token}.abandoned"
        folder.mkdir()
        if content is not None:
            text = json.dumps(asdict(replace(this_process(), token=token))) if content == "whole" else content
            (folder / HOLDER_FILE).write_text(text)
    for name in ("4" * 32, "5" * 32):  # killed before it was renamed into place
        (tmp_path / f".lock.{name}").mkdir()
    os.utime(tmp_path / f".lock.{'4' * 32}", (0, 0))
    with locked(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [f".lock.{'5' * 32}"]


@pytest.mark.usefixtures("elsewhere")
def test_a_token_that_is_none_leads_out_of_no_folder(tmp_path: Path) -> None:
    output = tmp_path / "out"
    (output / ".lock.").mkdir(parents=True)
    (tmp_path / "victim.abandoned").mkdir()
    left_behind(output, token="/../../victim")
    with locked(output):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "victim.abandoned"]
    assert list((tmp_path / "victim.abandoned").iterdir()) == []


def test_names_of_locks_are_known() -> None:
    assert all(map(lock.is_lock, [".lock", f".lock.{'0' * 32}", f".lock.{'f' * 32}.abandoned"]))
    assert not any(map(lock.is_lock, [".lockfile", ".lock.backup", ".lock.my.abandoned", "lock", f".lock.{'g' * 32}"]))


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"), locked(tmp_path / "gone"):
        pass


@pytest.mark.slow
def test_many_processes_at_once_never_hold_it_together(tmp_path: Path) -> None:
    """Some are killed while they hold it or wait for it, so that locks are taken over all the time."""
    (tmp_path / "number").write_text("0")
    command = [sys.executable, "-c", COUNT, str(tmp_path), "40"]
    stop = threading.Event()

    def kill_some() -> None:
        while not stop.is_set():
            process = holding_soon(tmp_path)
            time.sleep(0.3)
            end(process)

    killer = threading.Thread(target=kill_some, daemon=True)
    killer.start()
    counting = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate(timeout=300)[1] for process in counting]
    stop.set()
    killer.join(60)
    assert [process.returncode for process in counting] == [0] * 4, errors
    assert (tmp_path / "number").read_text() == "160"


def holding_soon(folder: Path) -> subprocess.Popen[str]:
    """A process that holds the lock, or is refused."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
