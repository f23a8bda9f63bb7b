"""The output folder: what is not a run's of ours is never overwritten or removed, and stops a run that would."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from apnet_fast._version import __version__
from apnet_fast.catalog.names import PRODUCT_NAMES, QUARANTINE_FILE, RUN_FILE
from apnet_fast.pipeline.folder import check_folder, discard, ours_in, result_names
from apnet_fast.pipeline.run import run
from apnet_fast.support.errors import UsageError
from apnet_fast.support.notices import listening
from tests.pipeline.runs import arguments, catalogue_bytes, stored_shards

BOTH = ("star", "visit")


@pytest.fixture(scope="module")
def finished_run(tree: Path, small_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("finished")
    run(arguments([tree], small_weights, output, engine="null"))
    return output


@pytest.fixture
def finished(finished_run: Path, tmp_path: Path) -> Path:
    """A finished run, to be changed."""
    return Path(shutil.copytree(finished_run, tmp_path / "finished"))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def plant(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"the user's {name}")


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "shards/notes.txt",
        "shards/000000/star.parquet",
        "shards/000000/marker.json",
        "shards/plan.json",
        "shards/work.partial",
        "shards/data/more.txt",
        f"{PRODUCT_NAMES['star']}.fits",
        QUARANTINE_FILE,
        RUN_FILE,
        "shards",
        "stars/apStar-dr17-2M00000000+0000000.fits",
    ],
)
def test_a_folder_that_is_not_ours_is_refused_and_left_as_it_is(
    name: str, restart: bool, tree: Path, small_weights: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    plant(output, name)
    before = contents(output)
    with pytest.raises(UsageError, match="no run of apnet_fast wrote") as refused:
        run(arguments([tree], small_weights, output, engine="null", restart=restart))
    assert name.split("/")[0] in str(refused.value)
    assert contents(output) == before
    assert not (output / ".lock").exists()


@pytest.mark.parametrize("restart", [False, True])
def test_what_a_user_puts_into_the_folder_of_a_run_stays(
    restart: bool, finished: Path, tree: Path, small_weights: Path
) -> None:
    names = ["notes.txt", "shards/notes.txt", "shards/a.partial", "shards/000099/star.parquet", "figures/kiel.png"]
    plant(finished, *names, "astraAllStarAPOGEENet-0.0.1.fits")
    (finished / QUARANTINE_FILE).write_bytes(b"damaged")
    run(arguments([tree], small_weights, finished, engine="null", restart=restart))
    for name in (*names, "astraAllStarAPOGEENet-0.0.1.fits"):
        assert (finished / name).read_text() == f"the user's {name}"


def test_a_restart_with_more_shards_overwrites_nothing_of_the_user(
    finished: Path, tree: Path, small_weights: Path
) -> None:
    plant(finished, "shards/000005/star.parquet")
    before = contents(finished)
    with pytest.raises(UsageError, match=r"would overwrite.*shards/000005"):
        run(arguments([tree], small_weights, finished, engine="null", restart=True, shard_size=1))
    assert contents(finished) == before


def test_a_restart_leaves_no_product_of_the_earlier_run(finished: Path, tree: Path, small_weights: Path) -> None:
    run(arguments([tree], small_weights, finished, engine="null", restart=True, spectra="star", shard_size=3))
    assert {path.name for path in finished.glob("astra*")} == set(result_names(["star"], __version__)) - {
        QUARANTINE_FILE
    }
    assert [path.name for path in stored_shards(finished)] == ["000000", "000001", "000002"]


@pytest.mark.parametrize("target", ["there", "gone"])
def test_shards_may_be_a_link_to_scratch(target: str, tree: Path, small_weights: Path, tmp_path: Path) -> None:
    scratch, output = tmp_path / "scratch", tmp_path / "out"
    output.mkdir()
    if target == "there":
        scratch.mkdir()
    os.symlink(scratch, output / "shards")
    run(arguments([tree], small_weights, output, engine="null"))
    first = catalogue_bytes(output)
    run(arguments([tree], small_weights, output, engine="null", restart=True, shard_size=4))
    assert catalogue_bytes(output) == first
    assert (output / "shards").is_symlink()
    assert sorted(path.name for path in scratch.iterdir()) == ["000000", "000001", "plan.json"]
    discard(output, result_names(BOTH, __version__), 2)
    assert list(scratch.iterdir()) == []
    assert sorted(path.name for path in output.iterdir()) == ["shards"]


def test_a_catalogue_without_its_shards_is_still_ours(finished: Path, tree: Path, small_weights: Path) -> None:
    before = catalogue_bytes(finished)
    shutil.rmtree(finished / "shards")
    (finished / f"{PRODUCT_NAMES['star']}.fits").unlink()
    run(arguments([tree], small_weights, finished, engine="null"))
    assert catalogue_bytes(finished) == before


@pytest.mark.parametrize("text", ["{", "[1]", "", '{"version": 1}', "[" * 100_000])
def test_a_damaged_plan_is_refused_and_a_restart_discards_it(
    text: str, finished: Path, tree: Path, small_weights: Path
) -> None:
    before = catalogue_bytes(finished)
    (finished / "shards" / "plan.json").write_text(text)
    with pytest.raises(UsageError, match=r"plan\.json.*--restart|--restart.*plan\.json|another run"):
        run(arguments([tree], small_weights, finished, engine="null"))
    run(arguments([tree], small_weights, finished, engine="null", restart=True))
    assert catalogue_bytes(finished) == before


@pytest.mark.parametrize(
    "prepare",
    [
        lambda folder: None,
        lambda folder: (folder / "shards").mkdir(),
        lambda folder: (folder / ".lock").mkdir(),
        lambda folder: (folder / "lost+found").mkdir(),
        lambda folder: plant(folder, "shards/plan.json.host-1-0.partial"),
    ],
    ids=["nothing", "empty shards", "lock", "lost+found", "killed at the plan"],
)
def test_a_folder_without_anything_of_the_user_is_taken(prepare: Callable[[Path], object], tmp_path: Path) -> None:
    prepare(tmp_path)
    check_folder(tmp_path)


def test_a_log_of_this_command_may_lie_in_the_folder(tmp_path: Path) -> None:
    with (tmp_path / "log.txt").open("w") as log:
        kept = os.dup(2)
        try:
            os.dup2(log.fileno(), 2)
            check_folder(tmp_path)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
    with pytest.raises(UsageError, match=r"log\.txt"):
        check_folder(tmp_path)


def test_a_file_of_the_user_in_the_folder_of_a_shard_is_never_removed(
    finished: Path, tree: Path, small_weights: Path
) -> None:
    notes = finished / "shards/000001/notes.txt"
    notes.write_text("mine")
    run(arguments([tree], small_weights, finished, engine="null"))
    (finished / "shards/000001/marker.json").write_text("{}")
    (finished / RUN_FILE).unlink()
    for restart in (False, True):
        with pytest.raises(UsageError, match=r"files that no run of apnet_fast wrote.*notes\.txt"):
            run(arguments([tree], small_weights, finished, engine="null", restart=restart))
        assert notes.read_text() == "mine"


@pytest.mark.parametrize("name", [".nfsnotes", ".nfs", ".nfs0123456789abcdef.txt"])
def test_what_only_looks_like_a_file_of_nfs_is_the_users(
    name: str, finished: Path, tree: Path, small_weights: Path
) -> None:
    plant(finished, f"shards/000000/{name}")
    before = contents(finished)
    with pytest.raises(UsageError, match=r"no run of apnet_fast wrote"):
        run(arguments([tree], small_weights, finished, engine="null", restart=True))
    assert contents(finished) == before
    (finished / "shards/000000" / name).rename(finished / "shards/000000/.nfs00000000008ae1c700000001")
    run(arguments([tree], small_weights, finished, engine="null", restart=True))
    assert not list(finished.glob("shards/000000/.nfs*"))


def test_a_folder_of_an_earlier_layout_is_refused_by_name_and_a_restart_discards_it(
    finished: Path, tree: Path, small_weights: Path
) -> None:
    """Its runs kept `000000.star.parquet` and `000000.json` beside each other."""
    before = catalogue_bytes(finished)
    shards = finished / "shards"
    plan = json.loads((shards / "plan.json").read_text())
    del plan["layout"]
    (shards / "plan.json").write_text(json.dumps(plan))
    for shard in stored_shards(finished):
        for file in shard.iterdir():
            name = ".json" if file.name == "marker.json" else f".{file.name}"
            file.rename(shards / f"{shard.name}{name}")
        shard.rmdir()
    with pytest.raises(UsageError, match="another version of apnet_fast; got shards in layout 1"):
        run(arguments([tree], small_weights, finished, engine="null"))
    run(arguments([tree], small_weights, finished, engine="null", restart=True))
    assert catalogue_bytes(finished) == before
    assert not list(shards.glob("*.parquet"))


def test_a_record_that_lists_foreign_names_gives_no_leave_to_remove_them(finished: Path) -> None:
    shutil.rmtree(finished / "shards")
    record = (finished / RUN_FILE).read_text()
    (finished / RUN_FILE).write_text(record.replace(QUARANTINE_FILE, "../notes.txt"))
    ours = ours_in(finished)
    assert ours.proven
    assert not any("notes" in name for name in ours.results)


def write_plan(output: Path, **changes: object) -> None:
    path = output / "shards" / "plan.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "version", ["x/../../victim", "x/victim", "../victim", "/victim", "..", "a\0b", "0.1\n", "", " ", "é", "v" * 65]
)
def test_a_plan_whose_version_is_none_names_no_file(
    version: str, finished: Path, tree: Path, small_weights: Path
) -> None:
    (finished / "astraAllStarAPOGEENet-x").mkdir()
    plant(finished.parent, "victim.fits", "victim.parquet")
    plant(finished, "astraAllStarAPOGEENet-x/victim.fits", "astraAllStarAPOGEENet-0.1.fits")
    planted = contents(finished.parent)
    write_plan(finished, version=version)
    with pytest.raises(UsageError, match="belongs to another run"):
        run(arguments([tree], small_weights, finished, engine="null"))
    # A restart discards a damaged plan where run.json and the markers prove whose folder it is.
    run(arguments([tree], small_weights, finished, engine="null", restart=True))
    after = contents(finished.parent)
    assert all(after[name] == content for name, content in planted.items() if content.startswith(b"the user's"))
    # Where nothing proves it, the folder is refused as it is.
    write_plan(finished, version=version)
    (finished / RUN_FILE).unlink()
    for shard in stored_shards(finished):
        (shard / "marker.json").unlink()
    before = contents(finished.parent)
    for restart in (False, True):
        with pytest.raises(UsageError, match="no run of apnet_fast wrote"):
            run(arguments([tree], small_weights, finished, engine="null", restart=restart))
    assert contents(finished.parent) == before


@pytest.mark.parametrize(
    "name",
    ["astraAllStarAPOGEENet-\0", "astraAllStarAPOGEENet-a\0.fits", "astraAllVisitAPOGEENet-x/../victim.fits",
     "astraAllStarAPOGEENet-notes.txt", "astraAllStarAPOGEENet-0.1.0.fits\n"],
)  # fmt: skip
def test_a_record_names_no_file_that_no_run_makes(name: str, finished: Path, tree: Path, small_weights: Path) -> None:
    record = json.loads((finished / RUN_FILE).read_text())
    record["products"][name] = record["products"][QUARANTINE_FILE]
    (finished / RUN_FILE).write_text(json.dumps(record))
    plant(finished, "astraAllStarAPOGEENet-notes.txt")
    run(arguments([tree], small_weights, finished, engine="null", restart=True))
    assert (finished / "astraAllStarAPOGEENet-notes.txt").exists()


@pytest.mark.parametrize("name", ["astraAllStarAPOGEENet-0.0.9.fits", f"{PRODUCT_NAMES['star']}.fits", RUN_FILE])
def test_a_folder_that_has_the_name_of_a_result_is_refused(
    name: str, finished: Path, tree: Path, small_weights: Path
) -> None:
    if "0.0.9" in name:
        write_plan(finished, version="0.0.9")
    (finished / name).unlink(missing_ok=True)
    plant(finished, f"{name}/notes.txt")
    before = contents(finished)
    with pytest.raises(UsageError, match="no run of apnet_fast wrote"):
        run(arguments([tree], small_weights, finished, engine="null", restart=True))
    assert contents(finished) == before


@pytest.mark.parametrize("name", ["٠٠٠٠٠٠", "0000000", "00000001"])
def test_only_a_name_that_a_run_gives_is_a_shard(name: str, finished: Path, tree: Path, small_weights: Path) -> None:
    plant(finished, f"shards/{name}/star.parquet")
    run(arguments([tree], small_weights, finished, engine="null", restart=True))
    assert (finished / "shards" / name / "star.parquet").read_text() == f"the user's shards/{name}/star.parquet"


def test_a_log_may_lie_in_the_output_folder(tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    with listening("command", log=output / "run.log"):
        check_folder(output)
    with pytest.raises(UsageError, match=r"run\.log"):
        check_folder(output)
