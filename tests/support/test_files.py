"""Files appear complete or not at all, on whatever file system."""

from __future__ import annotations

import errno
import json
import math
import os
import threading
from pathlib import Path

import pytest

from apnet_fast.support import notices
from apnet_fast.support.errors import UsageError
from apnet_fast.support.files import append_line, check_folder_of, check_output_folder, write_json, written_whole


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")

    def write_half() -> None:
        with written_whole(path) as partial:
            partial.write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"


def test_a_finished_write_replaces_it(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_file_may_be_read_by_whom_the_umask_allows(tmp_path: Path) -> None:
    with written_whole(tmp_path / "a") as partial:
        partial.touch(mode=0o600)
    (tmp_path / "b").touch()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_json_has_null_for_what_is_no_number(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1.5, math.nan, (math.inf,)], "c": {"d": -math.inf}})
    assert json.loads((tmp_path / "a.json").read_text()) == {"b": [1.5, None, [None]], "c": {"d": None}}


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    begun, other_done = threading.Event(), threading.Event()

    def slow() -> None:
        with written_whole(path) as partial:
            partial.write_text("slow")
            begun.set()
            other_done.wait(5)

    thread = threading.Thread(target=slow)
    thread.start()
    begun.wait(5)
    with written_whole(path) as partial:
        partial.write_text("quick")
    assert path.read_text() == "quick"
    other_done.set()
    thread.join()
    assert path.read_text() == "slow"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def refusing(code: int) -> object:
    def refuse(*given: object, **more: object) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_fsync_gets_one_warning(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "fsync", refusing(code))
    monkeypatch.setattr(notices, "_warned", set())
    write_json(tmp_path / "a.json", {"b": 1})
    write_json(tmp_path / "second.json", {"b": 2})
    said = capsys.readouterr().err
    assert said.count("warning: ") == 1
    assert str(tmp_path / "a.json") in said
    assert json.loads((tmp_path / "a.json").read_text()) == {"b": 1}


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_disk_that_fails_stops_with_the_path(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", refusing(code))
    with pytest.raises(OSError, match=r"a\.json") as failed:
        write_json(tmp_path / "a.json", {"b": 1})
    assert failed.value.errno == code
    assert list(tmp_path.iterdir()) == []


def test_lines_are_appended_on_any_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log"
    append_line(path, b"one")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(os, "fsync", refusing(errno.EINVAL))
    monkeypatch.setattr(notices, "_warned", set())
    append_line(path, b"two")
    append_line(path, b"three")
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    said = capsys.readouterr().err
    assert (said.count("warning: "), said.count(str(path))) == (1, 1)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_line_that_is_not_on_disk_is_an_error_with_the_path(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", refusing(code))
    with pytest.raises(OSError, match="/log") as failed:
        append_line(tmp_path / "log", b"one")
    assert (failed.value.errno, failed.value.filename) == (code, str(tmp_path / "log"))


def test_a_disk_that_is_full_is_named_when_a_line_is_appended() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(OSError, match="/dev/full") as failed:
        append_line(Path("/dev/full"), b"one")
    assert failed.value.errno == errno.ENOSPC


def test_a_mode_that_cannot_be_set_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Path, "chmod", refusing(errno.EPERM))
    write_json(tmp_path / "a.json", {"b": 1})
    assert (tmp_path / "a.json").is_file()
    assert capsys.readouterr().err == ""


def test_an_error_without_a_name_gets_that_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"a\.txt"), written_whole(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_output_that_cannot_be_a_folder_is_refused_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "gone")

    def refused(output: Path) -> str:
        with pytest.raises(UsageError) as raised:
            check_output_folder(output)
        said = str(raised.value)
        assert "expected a folder that exists or can be made, and that you may write in" in said
        assert "Remedy: give another --output" in said
        assert str(output) in said
        return said

    assert refused(tmp_path / "file").startswith("the output is a file")
    assert refused(tmp_path / "link").startswith("the output is a link to nothing")
    assert "file is a file" in refused(tmp_path / "file" / "out")
    for usable in (tmp_path, tmp_path / "new" / "deep"):
        check_output_folder(usable)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # so that the test holds for root as well
    monkeypatch.chdir(tmp_path)
    assert refused(tmp_path / "new").startswith("the output folder cannot be made")
    assert refused(tmp_path).startswith("the output folder cannot be written to")


def test_a_file_to_write_is_checked_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for usable in (tmp_path / "new", tmp_path / "file"):
        check_folder_of(usable)
        check_folder_of(usable, made=True)
    with pytest.raises(UsageError, match=r"this is a folder.*expected the name of a file.*Remedy: add the file's name"):
        check_folder_of(tmp_path)
    with pytest.raises(UsageError, match=r"no such folder.*expected a folder that exists\. Remedy: make it first"):
        check_folder_of(tmp_path / "no" / "w")
    check_folder_of(tmp_path / "no" / "w", made=True)
    with pytest.raises(UsageError, match="the output is a file"):
        check_folder_of(tmp_path / "file" / "w", made=True)


@pytest.mark.parametrize("name", ["zz", "zz/deeper", ""])
def test_a_folder_that_takes_no_files_is_found_by_trying(name: str) -> None:
    with pytest.raises(UsageError, match=r"the output folder cannot be (made|written to); got /proc.*other --output"):
        check_output_folder(Path("/proc") / name, "give another --output")


def test_trying_leaves_nothing_and_bears_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_output_folder(tmp_path / "new")
    assert not list(tmp_path.iterdir())

    def refuse(code: int) -> None:
        def of_the_system(**_: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr("tempfile.TemporaryFile", of_the_system)

    refuse(errno.ENOSPC)
    check_output_folder(tmp_path / "new")  # the run says it, and can be given again
    refuse(errno.EROFS)
    with pytest.raises(UsageError, match=r"cannot be made; got .*takes no files \(Read-only"):
        check_output_folder(tmp_path / "new")
