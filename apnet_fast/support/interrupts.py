"""End quietly if Ctrl-C comes while the program is still importing its libraries.

A KeyboardInterrupt in the middle of an import prints a traceback of the library, or becomes an error of its own. This
module imports next to nothing, so that it can be installed first.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

# What code objects of Python's import machinery call their file.
_IMPORT_MACHINERY = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")
_SCRIPT = "apnet-fast"


def is_command() -> bool:
    """Return whether this process was begun as `python -m apnet_fast...` or as the console script.

    While Python imports the package of `python -m`, sys.argv[0] is "-m".
    """
    name = sys.argv[0] if getattr(sys, "argv", None) else ""
    return name == "-m" or os.path.basename(name) in (_SCRIPT, f"{_SCRIPT}.exe")


def end_quietly_while_importing() -> None:
    """Make SIGINT end the process silently during imports, and raise KeyboardInterrupt otherwise.

    A handler that another program has set is left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _handle)


def _handle(number: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename in _IMPORT_MACHINERY:
            return True
        frame = frame.f_back
    return False
