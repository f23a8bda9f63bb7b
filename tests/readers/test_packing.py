"""Packing: a pack stands for its tree, whatever stopped its making, and labels of both are equal byte for byte."""

from __future__ import annotations

import errno
import os
import re
import signal
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import pytest

from apnet_fast.inputs.words import resolve_inputs
from apnet_fast.pipeline.run import run
from apnet_fast.readers import packing
from apnet_fast.readers.packing import LOG, PackArguments, pack
from apnet_fast.spectra import concatenate, read_apstar, read_spectra
from apnet_fast.spectra.pack import MANIFEST, load_manifest
from apnet_fast.support import notices
from apnet_fast.support.errors import Stopped, UsageError
from apnet_fast.support.stopping import StopRequest
from tests.pipeline.runs import arguments, catalogue, catalogue_bytes, quarantine, table_bytes
from tests.spectra.mwm_files import name_of, rows_like, write_mwm


@pytest.fixture(scope="module")
def everything(broken_trees: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path | str]:
    """Trees of all layouts with their edge cases, and mwm files: whole, broken and empty."""
    folder = tmp_path_factory.mktemp("mwm")
    spectra = read_apstar(str(min(broken_trees["dr17"].rglob("*Star-*.fits"))))
    for kind in ("star", "visit"):
        write_mwm(folder / name_of(kind), rows_like(spectra, kind))
        write_mwm(folder / name_of(kind).replace("1030", "2030"))
        (folder / name_of(kind).replace("1030", "3030")).write_bytes(b"SIMPLE  =")
    return [*broken_trees.values(), folder]


def pack_of(inputs: list[Path | str], output: Path, **changes: object) -> Path:
    pack(PackArguments(**({"inputs": tuple(map(str, inputs)), "output": output, "spectra_per_file": 40} | changes)))  # type: ignore[arg-type]
    return output


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@pytest.mark.slow
def test_labels_of_a_pack_are_those_of_its_files(
    everything: list[Path | str], small_weights: Path, tmp_path: Path
) -> None:
    packed = pack_of(everything, tmp_path / "pack")
    assert len(load_manifest(packed).files) > 3
    for inputs, output in ((everything, "files"), ([packed], "packed")):
        run(arguments(inputs, small_weights, tmp_path / output, draws=2, batch_size=64, shard_size=3))
    assert catalogue_bytes(tmp_path / "packed") == catalogue_bytes(tmp_path / "files")
    assert quarantine(tmp_path / "packed") == quarantine(tmp_path / "files")
    # The broken mwm files have their rows, the empty ones none.
    assert sum("mwm" in str(row["path"]) for row in quarantine(tmp_path / "files")) == 2
    # Negative twin, over a few of them: other noise shows.
    few = pack_of(everything[-1:], tmp_path / "few")
    for inputs, seed in ((everything[-1:], 0), ([few], 0), ([few], 1)):
        run(arguments(inputs, small_weights, tmp_path / f"{inputs[0] == few}{seed}", draws=2, seed=seed))
    same, of_files, other = (catalogue_bytes(tmp_path / name) for name in ("True0", "False0", "True1"))
    assert same == of_files != other


def test_real_files_come_back_as_they_were_read(data: Path, tmp_path: Path) -> None:
    packed = pack_of([data], tmp_path / "pack", spectra_per_file=10)
    batches = [
        concatenate([read_spectra(path) for path in resolve_inputs([str(inputs)]).files]) for inputs in (data, packed)
    ]
    assert len(batches[0]) == 35
    assert repr(batches[1].records) == repr(batches[0].records)
    for name in ("flux", "error"):
        files, from_pack = (getattr(batch, name).view("u4") for batch in batches)
        np.testing.assert_array_equal(from_pack, files)
    assert batches[0].usable.all()


def test_a_damaged_file_of_a_pack_costs_its_rows_alone(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    packed = pack_of([tree], tmp_path / "pack", spectra_per_file=6)
    run(arguments([packed], small_weights, tmp_path / "whole", draws=2))
    damaged = packed / "000001.arrow"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    summary = run(arguments([packed], small_weights, tmp_path / "damaged", draws=2))
    assert summary.reasons == {"truncated": 6}
    for product in ("star", "visit"):
        whole, with_damage = (catalogue(tmp_path / name, product) for name in ("whole", "damaged"))
        assert whole.num_rows == with_damage.num_rows
        good = [i for i, reason in enumerate(with_damage["reason"].to_pylist()) if not reason]
        assert 0 < len(good) < whole.num_rows
        assert table_bytes(with_damage.take(good)) == table_bytes(whole.take(good))


@pytest.mark.parametrize("spectra", ["star", "visit"])
def test_one_product_of_a_pack_and_of_mwm_files(
    spectra: str, everything: list[Path | str], small_weights: Path, tmp_path: Path
) -> None:
    packed = pack_of(everything[1:], tmp_path / "pack")
    for inputs, output in ((everything[1:], "files"), ([packed], "packed")):
        run(arguments(inputs, small_weights, tmp_path / output, engine="null", spectra=spectra, shard_size=50))
    rows = [catalogue(tmp_path / name, spectra).to_pylist() for name in ("packed", "files")]
    assert repr(rows[0]) == repr(rows[1])  # NaN equals NaN in words
    assert len(list((tmp_path / "files").glob("astra*.parquet"))) == 1


@pytest.mark.parametrize("readers", [0, 2])
def test_a_pack_is_the_same_whoever_reads(readers: int, tree: Path, tmp_path: Path) -> None:
    first = pack_of([tree], tmp_path / "first", spectra_per_file=6)
    second = pack_of(
        [*sorted(tree.rglob("*.fits"), reverse=True)], tmp_path / "second", spectra_per_file=6, readers=readers
    )
    assert contents(first) == contents(second)
    assert contents(pack_of([tree], tmp_path / "third", spectra_per_file=7)) != contents(first)


def test_a_pack_of_a_pack_keeps_the_names_of_the_files(tree: Path, tmp_path: Path) -> None:
    first = pack_of([tree], tmp_path / "first", spectra_per_file=6)
    second = pack_of([first], tmp_path / "second", spectra_per_file=6)
    assert [file for name, file in contents(first).items() if name != MANIFEST] == [
        file for name, file in contents(second).items() if name != MANIFEST
    ]


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("where", ["before the file", "before the log", "in the log"])
def test_stopped_anywhere_it_goes_on(
    after: int, where: str, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = contents(pack_of([tree], tmp_path / "undisturbed", spectra_per_file=6))
    output, written = tmp_path / "stopped", 0

    class Killed(BaseException):
        pass

    def killed(path: Path, batch: object, real=packing.write_pack_file) -> object:
        nonlocal written
        if written == after and where == "before the file":
            raise Killed
        file = real(path, batch)
        if written == after:
            if where == "in the log":
                with (output / LOG).open("a") as log:
                    log.write('{"name": "0000')
            raise Killed
        written += 1
        return file

    with monkeypatch.context() as patch:
        patch.setattr(packing, "write_pack_file", killed)
        with pytest.raises(Killed):
            pack_of([tree], output, spectra_per_file=6)
    # What is not whole is not a pack, and is not taken for a folder of spectra either.
    with pytest.raises(UsageError, match="not finished"):
        resolve_inputs([str(output)])
    opened: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(
            "apnet_fast.readers.pool.read_spectra", lambda path, products: opened.append(path) or read_apstar(path)
        )
        pack_of([tree], output, spectra_per_file=6)
    assert contents(output) == expected
    assert len(opened) == 7 - 2 * after


def test_a_signal_stops_it_after_a_file(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = contents(pack_of([tree], tmp_path / "undisturbed", spectra_per_file=6))
    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "__enter__", lambda self: setattr(self, "requested", True) or self)
        with pytest.raises(Stopped):
            pack_of([tree], tmp_path / "stopped", spectra_per_file=6)
    assert sorted(contents(tmp_path / "stopped")) == ["000000.arrow", LOG]
    assert contents(pack_of([tree], tmp_path / "stopped", spectra_per_file=6)) == expected


def test_it_speaks_of_packing(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """On a terminal, and where a signal comes while a file is written."""

    def interrupted(path: Path, batch: object, real=packing.write_pack_file) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(path, batch)

    monkeypatch.setattr(packing, "write_pack_file", interrupted)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with pytest.raises(Stopped):
        pack_of([tree], tmp_path / "pack", spectra_per_file=6)
    said = capfd.readouterr().err
    assert "SIGTERM: stopping after this file of the pack" in said
    assert "pack " in said
    assert "reprocess" not in said
    assert "shard" not in said


def test_an_output_of_other_inputs_is_refused(tree: Path, tmp_path: Path) -> None:
    output = pack_of([tree], tmp_path / "pack", spectra_per_file=6)
    some = sorted(tree.rglob("*.fits"))[:2]
    before = contents(output)
    with pytest.raises(UsageError, match=r"holds another pack; got 7 files.*expected 2 files"):
        pack_of([*some], output)
    with pytest.raises(UsageError, match=r"got --spectra-per-file 6.*expected --spectra-per-file 7"):
        pack_of([tree], output, spectra_per_file=7)
    assert contents(pack_of([tree], output, spectra_per_file=6)) == before
    pack_of([*some], output, restart=True)
    assert load_manifest(output).inputs.startswith("2 files")
    # An unfinished pack of other inputs is refused too.
    os.rename(output / MANIFEST, tmp_path / "manifest")
    (output / LOG).write_text('{"inputs": "9 files"}\n')
    with pytest.raises(UsageError, match="holds another pack"):
        pack_of([*some], output)


FOREIGN = {
    "000000.arrow": b"mine",
    "000099.arrow": b"mine",
    "notes.txt": b"mine",
    "x.partial": b"mine",
    "000000.arrow.partial": b"mine",
    "pack.json.partial": b"mine",
    "pack.json": b'{"name": "a package of something else"}',
    "packing.jsonl": b"mine",
    ".lock.backup": b"mine",
    ".lockfile": b"mine",
}


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("name", FOREIGN)
def test_a_folder_with_anything_else_is_not_taken(name: str, restart: bool, tree: Path, tmp_path: Path) -> None:
    output = tmp_path / "pack"
    output.mkdir()
    (output / name).write_bytes(FOREIGN[name])
    with pytest.raises(UsageError, match=rf"is not empty, and no pack; got {re.escape(name)}"):
        pack_of([tree], output, restart=restart)
    assert contents(output) == {name: FOREIGN[name]}


def test_a_folder_inside_is_named_too(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "pack" / "thesis").mkdir(parents=True)
    with pytest.raises(UsageError, match="got thesis"):
        pack_of([tree], tmp_path / "pack", restart=True)
    assert (tmp_path / "pack" / "thesis").is_dir()


@pytest.mark.parametrize("finished", [True, False])
def test_restart_deletes_what_the_pack_lists_and_nothing_else(
    finished: bool, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "pack"
    with monkeypatch.context() as patch:
        if not finished:
            patch.setattr(StopRequest, "__enter__", lambda self: setattr(self, "requested", True) or self)
        with nullcontext() if finished else pytest.raises(Stopped):
            pack_of([tree], output, spectra_per_file=6)
    planted = {name: content for name, content in FOREIGN.items() if not (output / name).exists()}
    # Partial files of the pack's own names are leftovers of the pack.
    planted = {name: content for name, content in planted.items() if name not in ("000000.arrow.partial",)}
    planted = {name: content for name, content in planted.items() if not name.startswith("pack")}
    for name, content in planted.items():
        (output / name).write_bytes(content)
    some = sorted(tree.rglob("*.fits"))[:2]
    pack_of([*some], output, restart=True)
    assert planted.items() <= contents(output).items()
    assert set(contents(output)) == {*planted, "000000.arrow", MANIFEST}


def test_a_file_that_appears_in_an_unfinished_pack_is_not_overwritten(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "pack"
    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "__enter__", lambda self: setattr(self, "requested", True) or self)
        with pytest.raises(Stopped):
            pack_of([tree], output, spectra_per_file=6)
    (output / "000001.arrow").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"did not write has the name of one that it needs; got 000001\.arrow"):
        pack_of([tree], output, spectra_per_file=6)
    assert (output / "000001.arrow").read_bytes() == b"mine"
    (output / "000001.arrow").rename(tmp_path / "elsewhere")
    expected = contents(pack_of([tree], tmp_path / "undisturbed", spectra_per_file=6))
    assert contents(pack_of([tree], output, spectra_per_file=6)) == expected


def test_a_hostile_manifest_deletes_nothing(tree: Path, tmp_path: Path) -> None:
    output = pack_of([tree], tmp_path / "pack", spectra_per_file=6)
    victim = tmp_path / "victim.arrow"
    victim.write_bytes(b"mine")
    content = (output / MANIFEST).read_text()
    (output / MANIFEST).write_text(content.replace("000000.arrow", "../victim.arrow"))
    with pytest.raises(UsageError, match="no pack"):
        pack_of([tree], output, spectra_per_file=6, restart=True)
    assert victim.read_bytes() == b"mine"
    assert (output / "000001.arrow").exists()


def test_a_restart_that_is_killed_leaves_a_pack(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = pack_of([tree], tmp_path / "pack", spectra_per_file=6)
    expected, real, left = contents(output), Path.unlink, 0

    class Killed(BaseException):
        pass

    def unlink(path: Path, missing_ok: bool = False) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        real(path, missing_ok)

    for calls in range(1, 14):
        left = calls
        with monkeypatch.context() as patch, suppress(Killed):
            patch.setattr(Path, "unlink", unlink)
            pack_of([tree], output, spectra_per_file=6, restart=True)
        pack_of([tree], output, spectra_per_file=6, restart=True)
        assert contents(output) == expected


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("link", [False, True])
def test_a_pack_does_not_take_the_folder_of_its_sources(restart: bool, link: bool, tree: Path, tmp_path: Path) -> None:
    packed = pack_of([tree], tmp_path / "pack", spectra_per_file=6)
    before = contents(packed)
    (tmp_path / "link").symlink_to(packed)
    with pytest.raises(UsageError, match="holds what is to be packed"):
        pack_of([packed], tmp_path / "link" if link else packed, spectra_per_file=6, restart=restart)
    assert contents(packed) == before
    # A pack may lie below a tree of its sources.
    (tmp_path / "own").mkdir()
    source = min(tree.rglob("*Star-*.fits"))
    os.link(source, tmp_path / "own" / source.name)
    pack_of([tmp_path / "own"], tmp_path / "own" / "pack", restart=restart)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ()}, "no input"),
        ({"readers": -1}, "--readers"),
        ({"spectra_per_file": 0}, "--spectra-per-file"),
        ({"spectra_per_file": 10**9}, "--spectra-per-file"),
    ],
)
def test_arguments_that_make_no_sense(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        PackArguments(**({"inputs": ("a",), "output": tmp_path} | changes))  # type: ignore[arg-type]


def test_a_pack_made_anew_in_the_same_place_is_another_input(tree: Path, small_weights: Path, tmp_path: Path) -> None:
    packed = pack_of([tree], tmp_path / "pack", spectra_per_file=6)
    run(arguments([packed], small_weights, tmp_path / "out", engine="null"))
    pack(PackArguments((str(tree),), packed, spectra_per_file=6, restart=True))
    run(arguments([packed], small_weights, tmp_path / "out", engine="null"))
    fewer = sorted(str(path) for path in tree.rglob("*Star-*.fits"))[1:]
    pack(PackArguments(tuple(fewer), packed, spectra_per_file=6, restart=True))
    with pytest.raises(UsageError, match="inputs was"):
        run(arguments([packed], small_weights, tmp_path / "out", engine="null"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", [MANIFEST, LOG])
@pytest.mark.parametrize("restart", [False, True])
def test_a_manifest_that_is_no_file_is_not_waited_for(
    name: str, restart: bool, put_no_file: Callable[[Path], None], tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "pack").mkdir()
    put_no_file(tmp_path / "pack" / name)
    with pytest.raises(UsageError, match=rf"is not empty, and no pack; got .*{re.escape(name)}"):
        pack_of([tree], tmp_path / "pack", restart=restart)
    assert not (tmp_path / "pack" / name).is_file()


def refusing_fsync(code: int) -> Callable[[int], None]:
    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


def test_a_file_system_without_fsync_costs_one_warning(
    broken_trees: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = pack_of([broken_trees["dr17"]], tmp_path / "sound")
    monkeypatch.setattr(notices, "_warned", set())
    capsys.readouterr()
    monkeypatch.setattr(os, "fsync", refusing_fsync(errno.EINVAL))
    packed = pack_of([broken_trees["dr17"]], tmp_path / "pack")
    said = capsys.readouterr().err
    assert said.count("warning: ") == 1
    assert str(packed) in said
    assert contents(packed) == contents(sound)


def test_a_disk_that_fails_is_named_and_the_same_command_goes_on(
    broken_trees: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "pack"
    sound = pack_of([broken_trees["dr17"]], tmp_path / "sound")
    # The first flush is that of the log's head, which another function writes.
    flushes, fail, fsync = iter(range(1000)), refusing_fsync(errno.EIO), os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (fail if next(flushes) else fsync)(descriptor))
    with pytest.raises(OSError, match="Input/output error") as failed:
        pack_of([broken_trees["dr17"]], output)
    monkeypatch.setattr(os, "fsync", fsync)
    assert failed.value.filename == str(output / LOG)
    assert contents(pack_of([broken_trees["dr17"]], output)) == contents(sound)
