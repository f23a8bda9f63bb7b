"""Opening what may be anything: every failure has its reason, and no descriptor stays open."""

from __future__ import annotations

import os
from pathlib import Path

import fitsio
import numpy as np
import pytest

from apnet_fast.spectra.failures import ReadFailure, Reason
from apnet_fast.spectra.opening import check_complete, library_failure, opened


def failure_of(path: Path | str) -> ReadFailure:
    with pytest.raises(ReadFailure) as caught, opened(str(path)):
        pass
    return caught.value


def test_a_file_is_opened_and_closed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    with opened(str(tmp_path / "a")) as file:
        descriptor = file.fileno()
        assert file.read() == b"abc"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize("what", ["folder", "pipe", "device"])
def test_what_is_no_regular_file_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null")
    failure = failure_of(path)
    assert (failure.reason, failure.text) == (Reason.UNREADABLE, "a folder or a device, not a file")


def test_a_missing_file_and_a_dangling_link_differ_in_their_text(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("gone")
    missing, dangling = failure_of(tmp_path / "none"), failure_of(tmp_path / "link")
    assert missing.reason is dangling.reason is Reason.MISSING_FILE
    assert (missing.text, dangling.text) == ("no such file", "symlink to gone, which does not exist")


def test_an_error_while_the_file_is_read_becomes_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    with pytest.raises(ReadFailure, match="strange weather") as caught, opened(str(tmp_path / "a")):
        raise OSError(5, "strange weather")
    assert caught.value.reason is Reason.IO_ERROR


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("length", [0, 2, 10])
def test_a_file_whose_size_changes_is_being_written(length: int, fails: bool, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")

    def read_it() -> None:
        with opened(str(path)):
            os.truncate(path, length)
            if fails:
                raise ReadFailure(Reason.TRUNCATED, "cut", 1)

    with pytest.raises(ReadFailure, match=f"had 3 bytes .* and {length} when") as caught:
        read_it()
    assert caught.value.reason is Reason.BEING_WRITTEN


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("FITSIO status = 107: tried to move past end of file"), Reason.TRUNCATED),
        (OSError("FITSIO status = 252: bad card"), Reason.UNREADABLE),
        (UnicodeDecodeError("ascii", b"\xff", 0, 1, "no"), Reason.BAD_LAYOUT),
    ],
)
def test_errors_of_the_library_get_their_reason(error: Exception, reason: Reason) -> None:
    failure = library_failure(error, 4)
    assert (failure.reason, failure.hdu) == (reason, 4)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda whole: whole, None),
        (lambda whole: whole + b"anything", None),
        (lambda whole: whole[:-1], Reason.TRUNCATED),
        (lambda whole: whole + b"XTENS", Reason.TRUNCATED),
        (lambda whole: whole[: -2 * 2880], None),
    ],
    ids=["whole", "bytes behind", "cut", "a header begun", "an HDU less"],
)
def test_completeness(change: object, reason: Reason | None, tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    with fitsio.FITS(str(path), "rw") as file:
        for _ in range(3):
            file.write(np.ones(10, "f4"))
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    found = None
    with path.open("rb") as file, fitsio.FITS(str(path)) as fits:
        try:
            check_complete(file, fits)
        except ReadFailure as failure:
            found = failure.reason
    assert found is reason
