"""`python docs/rooms.py`: print the picture of docs/architecture.md, a Mermaid graph of the rooms and their imports.

The layers are the contract in pyproject.toml; the arrows are what the code really imports. An arrow that follows from
others (a room that is also reached through another) is left out. Needs the development packages (grimp).
"""

from __future__ import annotations

import tomllib
from itertools import product
from pathlib import Path

import grimp

_ROOT = Path(__file__).parents[1]
# Loose modules that are commands stand together: each is thin and imports what it calls.
_COMMANDS = "commands"
_NOT_DRAWN = {"_version", "__main__"}


def layers() -> list[list[str]]:
    """Return the rooms of the contract, highest layer first."""
    settings = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    return [[room.strip() for room in layer.split("|")] for layer in contract["layers"]]


def room_of(module: str, rooms: set[str]) -> str | None:
    """Return the room that a module or loose file belongs to; None for what is not drawn."""
    name = module.removeprefix("apnet_fast").strip(".").partition(".")[0]
    if not name or name in _NOT_DRAWN:
        return None
    return name if name in rooms else _COMMANDS


def arrows(rooms: set[str]) -> set[tuple[str, str]]:
    """Return which room imports which, without arrows that follow from others."""
    graph = grimp.build_graph("apnet_fast", cache_dir=None, exclude_type_checking_imports=True)
    found: set[tuple[str, str]] = set()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            above, below = room_of(importer, rooms), room_of(imported, rooms)
            if above and below and above != below:
                found.add((above, below))
    reached = set(found)
    for _ in rooms:
        reached |= {(a, d) for (a, b), (c, d) in product(reached, found) if b == c}
    return {(a, b) for a, b in found if not any((a, c) in found and (c, b) in reached for c in rooms | {_COMMANDS})}


def picture() -> str:
    """Return the Mermaid graph."""
    drawn = {room for layer in layers() for room in layer if (_ROOT / "apnet_fast" / room).is_dir() or room == "api"}
    lines = ["```mermaid", "flowchart TD", f"    {_COMMANDS}"]
    for room in (room for layer in layers() for room in layer if room in drawn):
        lines.append(f"    {room}[{room}{'' if room == 'api' else '/'}]")
    lines += [f"    {a} --> {b}" for a, b in sorted(arrows(drawn))]
    return "\n".join([*lines, "```"])


if __name__ == "__main__":
    print(picture())
