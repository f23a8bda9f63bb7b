"""Ctrl-C during imports ends a command without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from apnet_fast.support import interrupts
from apnet_fast.support.interrupts import end_quietly_while_importing, is_command

SLOW = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nfor _ in range(10_000_000): pass\n"


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    # A shell that starts the tests in the background has them ignore SIGINT.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    words = [sys.executable, "-c", f"{heed}\nimport sys; sys.path.insert(0, {str(folder)!r})\n{code}"]
    return subprocess.run(words, capture_output=True, text=True, timeout=60)


def test_during_an_import_it_ends_the_process_quietly(tmp_path: Path) -> None:
    (tmp_path / "slow_library.py").write_text(SLOW)
    install = "from apnet_fast.support.interrupts import end_quietly_while_importing as f; f()\n"
    done = run(install + "import slow_library", tmp_path)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
    # Without it there is a traceback; outside an import it is an exception like any other.
    assert "Traceback" in run("import slow_library", tmp_path).stderr
    body = SLOW.replace("\n", "\n    ")
    done = run(install + f"try:\n    {body}\nexcept KeyboardInterrupt:\n    print('caught')", tmp_path)
    assert (done.returncode, done.stdout) == (0, "caught\n")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("-m", True),
        ("/usr/bin/apnet-fast", True),
        ("/x/notebook.py", False),
        ("", False),
        ("apnet_fast/reprocess.py", False),
    ],
)
def test_a_command_is_told_from_a_library(name: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name])
    assert is_command() is expected


def test_handlers_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end_quietly_while_importing()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        signal.signal(signal.SIGINT, signal.default_int_handler)
        end_quietly_while_importing()
        assert signal.getsignal(signal.SIGINT) is interrupts._handle
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
