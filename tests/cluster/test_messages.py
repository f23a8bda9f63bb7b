"""Messages come back as they were sent, and nothing else is taken for one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from apnet_fast.cluster.messages import NO_SHARD, Kind, Message


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("shard", [NO_SHARD, 0, 4_999_999])
def test_a_message_comes_back(kind: Kind, shard: int) -> None:
    message = Message(kind, shard, b"\0body\xff")
    assert Message.decoded(message.encoded()) == message


@pytest.mark.parametrize("data", [b"", b"short", b"\xff" * 20])
def test_other_bytes_are_no_message(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"message|Kind"):
        Message.decoded(data)


def test_what_dask_imports_is_light() -> None:
    """A worker that imports torch in its event loop is taken for dead."""
    code = (
        "import sys, apnet_fast.cluster.node;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'numba', 'numpy', 'distributed')))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
