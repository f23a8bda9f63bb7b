"""`python -m tests.fuzz KIND|all --files N --seed S`: feed mutated inputs to the product and count the outcomes."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from tests.fuzz.case import Outcome, randomness
from tests.fuzz.runner import counted, table, try_cases, verdicts
from tests.fuzz.worker import MODULES, kind_of

# Shares of the files of "all": kinds with more ways to go wrong get more.
SHARES = {
    "apstar": 2000,
    "mwm": 700,
    "tables": 600,
    "lists": 300,
    "packs": 300,
    "weights": 600,
    "shards": 250,
    "run_json": 250,
}


def main() -> int:
    """Run the cases; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("kind", choices=["all", *MODULES])
    parser.add_argument("--files", type=int, default=sum(SHARES.values()), help="number of cases (5000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case of each kind (0)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--failures", type=Path, help="JSON file to write the failures to")
    parser.add_argument("--case", type=int, help="try this case alone, in this process, with its traceback")
    parser.add_argument("--keep", type=Path, help="with --case: new folder that keeps the case's files")
    words = parser.parse_args()
    if words.case is not None:
        return _one(words.kind, words.seed, words.case, words.keep)
    cases = [
        (kind, number)
        for kind, files in _files(words.kind, words.files).items()
        for number in range(words.first, words.first + files)
    ]
    done: Counter[str] = Counter()

    def tell(outcome: Outcome) -> None:
        done["tried"] += 1
        if outcome.failure:
            last = outcome.text.strip().splitlines()[-1:] or [""]
            what = f"{outcome.kind} --case {outcome.number}: {outcome.failure}: {outcome.what}: {last[0][:150]}"
            print(what, flush=True)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done['tried']} of {len(cases)}")

    outcomes = try_cases(cases, words.seed, workers=words.workers, tell=tell)
    counts = counted(outcomes)
    print(f"\n{verdicts(counts)}\n\n{table(counts)}")
    failures = [asdict(outcome) for outcome in outcomes if outcome.failure]
    if words.failures:
        words.failures.write_text(json.dumps(failures, indent=1))
    return 1 if failures else 0


def _files(kind: str, files: int) -> dict[str, int]:
    """Return the number of cases of each kind."""
    if kind != "all":
        return {kind: files}
    return {name: -(-files * SHARES[name] // sum(SHARES.values())) for name in MODULES}


def _one(name: str, seed: int, number: int, keep: Path | None) -> int:
    """Try one case here; what goes wrong is a traceback."""
    folder = Path("fuzz-case") if keep is None else keep
    (folder / "sound").mkdir(parents=True)
    kind = kind_of(name)
    base = kind.prepare(folder / "sound")
    (folder / "case").mkdir()
    case = kind.make(randomness(name, seed, number), base, folder / "case")
    print(case.what)
    try:
        print(kind.judge(base, case))
    finally:
        if keep is None:
            shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
