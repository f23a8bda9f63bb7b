"""Mutations of JSON documents: values of other types, huge and deep ones, keys that are missing or strange."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from tests.fuzz.mutations import mutate_bytes

Path = tuple[str | int, ...]

DEEP = 30_000
"""Nesting that no parser with recursion survives."""

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 10**18, 10**30, -(10**18), 1e308, 0.5, float("nan"), float("inf"),
    "", " ", "0", "x" * 100_000, "\0", "a\0b", "..", "../../etc/passwd", "/etc/passwd", "\u2028", "\ud800", "NaN",
    [], {}, [None], {"": None}, [[[[[[[[]]]]]]]], [0] * 10_000, {"a": {"b": {"c": {}}}}, "1e9", [1e18, "x", None],
)  # fmt: skip
RAW: tuple[str, ...] = (
    "1" * 5000, "1e999999", "-", "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "0" + "}" * DEEP, "[" * DEEP,
    '"' + "\\u0000" * 50 + '"', "NaN", "Infinity", "-Infinity", "0x10", "1_000", "tru", '"unfinished',
)  # fmt: skip
"""Texts put in the place of a value, which no library writes."""

_MARK = "\x00place of a raw text\x00"


def paths_of(value: Any, before: Path = ()) -> Iterator[Path]:
    """Yield the path of every value in a document, the document itself first."""
    yield before
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from paths_of(child, (*before, key))


def replaced(document: Any, path: Path, value: Any) -> Any:
    """Return a copy of a document with another value at a path."""
    if not path:
        return value
    changed = copy.deepcopy(document)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return changed


def mutate_json(text: str, rng: random.Random) -> tuple[bytes, str]:
    """Mutate a JSON document, mostly keeping its structure; return its bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(text.encode(), rng)
    document = json.loads(text)
    places = list(paths_of(document))
    where, value = rng.choice(places), rng.choice(VALUES)
    how = rng.choice(["dropped", "raw", "added", "moved", "value", "value"])
    if how == "dropped" and where:
        parent = _at(document, where[:-1])
        del parent[where[-1]]
        return _dumped(document), f"{_name(where)} dropped"
    if how == "raw":
        raw = rng.choice(RAW)
        marked = _dumped(replaced(document, where, _MARK))
        changed = marked.replace(json.dumps(_MARK).encode(), raw.encode())
        return changed, f"{_name(where)} = {raw[:12]}... ({len(raw)} characters)"
    mappings = [place for place in places if isinstance(_at(document, place), dict)]
    if how == "added" and mappings:
        target = rng.choice(mappings)
        key = rng.choice(["extra", "", "\0", "__class__", "../x", "x" * 1000])
        return _dumped(replaced(document, (*target, key), value)), f"key {key[:9]!r} added to {_name(target)}"
    if how == "moved":
        other = rng.choice(places)
        return _dumped(replaced(document, where, _at(document, other))), f"{_name(where)} = value of {_name(other)}"
    return _dumped(replaced(document, where, value)), f"{_name(where)} = {json.dumps(value)[:20]}"


def _name(path: Path) -> str:
    return "/".join(map(str, path)) or "the document"


def _at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def _dumped(document: Any) -> bytes:
    return json.dumps(document).encode("utf-8", "surrogatepass")
