"""`python -m apnet_fast.pack`: put the spectra of many files into a few Arrow files, for repeated reprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apnet_fast.support.console import EXIT_QUARANTINED, run_app

app = typer.Typer(add_completion=False)


@app.command("pack")
def pack_command(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="As those of reprocess.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the pack: an INPUT of reprocess.")],
    root: Annotated[
        Path | None, typer.Option(envvar="SAS_BASE_DIR", help="Folder that holds dr17/, sdsswork/, ... for tables.")
    ] = None,
    readers: Annotated[int, typer.Option(help="Processes that read ahead; 0 reads in this one.")] = 0,
    spectra_per_file: Annotated[
        int, typer.Option(help="Spectra per file of the pack, or a few more; 69 kB per spectrum.")
    ] = 256,
    restart: Annotated[bool, typer.Option("--restart", help="Discard the pack that the output folder holds.")] = False,
) -> None:
    """Turn apStar, mwmStar and mwmVisit files into a pack.

    `reprocess DIR` then gives the labels of the files, byte for byte. After any interruption, give the same command
    again and it goes on. Exit codes: 0 done, 2 usage, 3 done with spectra that could not be read (they are in the
    pack, with their reasons), 4 stopped but resumable.
    """
    # Imported here, so that --help is quick.
    from apnet_fast.readers.packing import PackArguments, pack
    from apnet_fast.support.progress import say

    manifest = pack(PackArguments(tuple(inputs), output, root, readers, spectra_per_file, restart))
    size = sum(file.bytes for file in manifest.files.values())
    say(f"{output}: {manifest.spectra} spectra of {manifest.inputs.split(',')[0]}")
    say(f"{len(manifest.files)} Arrow files, {size / 1e6:.1f} MB")
    if manifest.without_data:
        say(f"{manifest.without_data} spectra without data: reprocess gives them rows and reasons")
        raise SystemExit(EXIT_QUARANTINED)


if __name__ == "__main__":
    run_app(app)
