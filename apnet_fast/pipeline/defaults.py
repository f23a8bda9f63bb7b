"""Complete what a run is asked for from the environment, and name at once all that is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apnet_fast._version import __version__
from apnet_fast.engines import absent_gpus, choose_devices
from apnet_fast.inputs import newest_summary
from apnet_fast.inputs.kinds import InputKind, classify
from apnet_fast.inputs.newest_summary import UnreadableSummary, default_root, default_summary, what_is_there
from apnet_fast.networks import default_weights
from apnet_fast.networks.default_weights import WeightsSource, weights_source
from apnet_fast.pipeline.arguments import RunArguments
from apnet_fast.pipeline.folder import OTHER_OUTPUT
from apnet_fast.recipes import get_recipe
from apnet_fast.support.errors import UsageError, WeightsError
from apnet_fast.support.files import check_output_folder
from apnet_fast.support.notices import say
from apnet_fast.support.variables import ASTRA, DEVICE, RECIPE, SAS, cache_folder, folder_of, state_of, value_of


@dataclass(frozen=True)
class _Missing:
    """Something a run lacks: what was found instead, and how it can be given.

    what: what is wrong with what was given; None if nothing was. kind: the error that it is when alone.
    """

    name: str
    got: str | None
    remedy: str | None
    what: str | None = None
    kind: type[UsageError] = UsageError

    @classmethod
    def unusable(cls, name: str, error: UsageError, variable: str | None, remedy: str) -> _Missing:
        """Return what was given and cannot be used. variable: what gave it, if not the user; remedy: how else to."""
        if variable is None:
            return cls(name, None, error.remedy, what=error.problem, kind=type(error))
        remedies = [each for each in (error.remedy, remedy) if each is not None]
        return cls(name, None, "; or ".join(remedies), what=f"{error.problem} ({variable})", kind=type(error))

    def line(self) -> str:
        """Return it as one of several things that are missing."""
        text = ": ".join(part for part in (self.name, self.what, self.got) if part is not None)
        return text if self.remedy is None else f"{text}\n    Remedy: {self.remedy}"

    def alone(self) -> UsageError:
        """Return it as the only thing that is missing."""
        if self.what is None:
            return UsageError(f"no {self.name}: {self.got}", remedy=self.remedy)
        return self.kind(self.what, got=self.got, remedy=self.remedy)


@dataclass
class _Asked:
    """What a run is asked for, as far as it is known. notes: lines about what the environment gave."""

    inputs: tuple[str, ...] | None
    catalog: Path | None
    root: Path | None
    notes: list[str] = field(default_factory=list)

    def variable(self, name: str, what: str) -> str | None:
        """Return the value of a variable, and make a note of it."""
        value = value_of(name)
        if value is not None:
            self.notes.append(f"{what}: {value} ({name})")
        return value


def complete_arguments(
    *,
    inputs: Sequence[str] | None = None,
    weights: str | Path | None = None,
    output: Path | None = None,
    catalog: Path | None = None,
    root: Path | None = None,
    gpus: str | None = None,
    device: str | None = None,
    recipe: str | None = None,
    scratch: Path | None = None,
    on_this_machine: bool = True,
    **options: Any,
) -> RunArguments:
    """Return the arguments of a run, with what is None taken from the environment.

    An empty list of inputs is none that was forgotten: it is an error, as in `RunArguments`, and not the whole survey.

    weights: APNET_FAST_WEIGHTS, else Astra's below MWM_ASTRA, imported once beside the output.
    inputs: the newest summary table below SAS_BASE_DIR, which also fills the source columns, as `catalog` does.
    output: a folder in MWM_ASTRA, else in the current folder, named by version and recipe. root: SAS_BASE_DIR.
    device: APNET_FAST_DEVICE, unless `gpus` is given. recipe: APNET_FAST_RECIPE. options: other fields of
    `RunArguments`. scratch: a folder for what would be imported, if that is to leave nothing behind. on_this_machine:
    whether its devices compute.

    Raises UsageError that names all that is missing, GPUs first, with the variables and options that would give it.
    """
    asked = _Asked(None if inputs is None else tuple(inputs), catalog, root)
    if device is None and gpus is None:
        device = asked.variable(DEVICE, "device")
    # The CPU engine refuses GPUs with a better reason.
    looks_at_gpus = on_this_machine and options.get("engine") != "cpu"
    missing = _missing_gpus(gpus, device) if looks_at_gpus else []
    source = weights_source(weights)
    missing += _missing_weights(source)
    missing += _find_inputs(asked)
    if output is None and value_of(ASTRA) is not None and folder_of(ASTRA) is None:
        missing.append(_Missing("output", state_of(ASTRA), f"--output FOLDER, or set {ASTRA} to a folder"))
    recipe, recipe_from = (recipe, None) if recipe else (asked.variable(RECIPE, "recipe"), RECIPE)
    # Which recipes there are depends on the weights.
    if source is not None and not any(each.name == "weights" for each in missing):
        missing += _wrong_recipe(recipe, recipe_from, source)
    if missing or source is None:
        raise _all_at_once(missing)
    if output is None:
        output = _default_output(get_recipe(recipe, source.network).name, asked)
    # Not before: what is missing is said first.
    for note in asked.notes:
        say(note)
    check_output_folder(output, OTHER_OUTPUT)
    return RunArguments(
        inputs=asked.inputs or (),
        weights=_weights_file(source, output, scratch),
        output=output,
        catalog=asked.catalog,
        root=asked.root,
        gpus=gpus,
        device=device,
        recipe=recipe,
        **options,
    )


def _missing_gpus(gpus: str | None, device: str | None) -> list[_Missing]:
    """Return what to say of GPUs that were asked for and are not there; a wrong list of them raises UsageError."""
    if gpus is None and device is None:
        return []
    wanted = choose_devices(gpus, device, "auto", "v3").split(",")
    absent, visible = absent_gpus(wanted)
    if not absent:
        return []
    here = f"{visible}: cuda:0 .. cuda:{visible - 1}" if visible else "none"
    return [
        _Missing(
            "GPUs",
            f"{', '.join(absent)}; this machine has {here}",
            "--device cpu, or other --gpus, or a machine that has them",
            what="no such GPU is visible",
        )
    ]


def _missing_weights(source: WeightsSource | None) -> list[_Missing]:
    remedy = f"--weights FILE, or {default_weights.REMEDY}"
    if source is None:
        return [_Missing("weights", default_weights.what_is_there(), remedy)]
    if not source.path.exists():
        named = "" if source.variable is None else f" ({source.variable})"
        return [_Missing("weights", f"{source.path}{named}", remedy, what="no such weights file")]
    try:
        source.check()
    except WeightsError as error:
        return [_Missing.unusable("weights", error, source.variable, remedy)]
    return []


def _wrong_recipe(recipe: str | None, variable: str | None, source: WeightsSource) -> list[_Missing]:
    try:
        get_recipe(recipe, source.network)
    except UsageError as error:
        return [_Missing.unusable("recipe", error, variable, f"set {RECIPE} to a recipe of these weights")]
    return []


def _find_inputs(asked: _Asked) -> list[_Missing]:
    """Fill in inputs and root from the environment; return what is missing."""
    asked.root = default_root(asked.root)
    if asked.inputs is None and asked.catalog is None:
        remedy = f"{newest_summary.REMEDY}; or give --catalog TABLE"
        try:
            found = default_summary(asked.root)
        except UnreadableSummary as error:
            return [_Missing("input", error.why, remedy, what=error.what)]
        if found is None:
            return [_Missing("input", what_is_there(asked.root), remedy)]
        asked.notes += found.lines()
        if len(found.tables) == 1:
            asked.catalog = Path(found.tables[0])  # without INPUT, the files of its rows are the input
        else:
            asked.inputs = found.tables
    words = asked.inputs or (() if asked.catalog is None else (str(asked.catalog),))
    kinds = {word: classify(word) for word in words}
    absent = [word for word, kind in kinds.items() if kind is InputKind.NOTHING]
    if absent:
        return [_Missing("input", ", ".join(absent), "check the path", what="no such input")]
    if asked.root is None and InputKind.TABLE in kinds.values():
        return [
            _Missing(
                "root",
                f"a table names its spectra by their place in the survey's tree, and {state_of(SAS)}",
                f"--root FOLDER, or set {SAS}: the folder that holds dr17/, dr19/ or sdsswork/",
            )
        ]
    return []


def _default_output(recipe: str, asked: _Asked) -> Path:
    """Return the folder of a run that names none."""
    astra = folder_of(ASTRA)
    output = (astra or Path()) / f"apnet_fast-{__version__}-{recipe}"
    asked.notes.append(f"output: {output}" + (f" ({ASTRA})" if astra else " (in the current folder)"))
    return output


def _weights_file(source: WeightsSource, output: Path, scratch: Path | None) -> Path:
    if source.variable is not None and source.upstream is None:
        say(f"weights: {source.path} ({source.variable})")
    return source.file([output.absolute().parent, cache_folder()], scratch)


def _all_at_once(missing: Sequence[_Missing]) -> UsageError:
    if len(missing) == 1:
        return missing[0].alone()
    lines = [f"  {each.line()}" for each in missing]
    return UsageError("\n".join([f"{len(missing)} things are missing", *lines]))
