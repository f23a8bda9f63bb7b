"""`python -m apnet_fast.pack`: put the spectra of many files into a few Arrow files, for repeated reprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apnet_fast.support.common_options import with_common_options
from apnet_fast.support.console import EXIT_QUARANTINED, run_app

app = typer.Typer(add_completion=False)


@app.command("pack")
@with_common_options
def pack_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the pack: an INPUT of reprocess.")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUT...]",
            help="As those of reprocess.",
            show_default="the newest mwmAllStar or allStar below SAS_BASE_DIR",
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(help="Folder that holds dr17/, sdsswork/, ... for tables.", show_default="SAS_BASE_DIR"),
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
    from apnet_fast.inputs.newest_summary import default_inputs, default_root
    from apnet_fast.readers.packing import PackArguments, pack
    from apnet_fast.support.files import check_output_folder
    from apnet_fast.support.notices import say

    check_output_folder(output)
    root = default_root(root)
    words = tuple(inputs) if inputs else default_inputs(root)
    manifest = pack(PackArguments(words, output, root, readers, spectra_per_file, restart))
    size = sum(file.bytes for file in manifest.files.values())
    say(f"{output}: {manifest.spectra} spectra of {manifest.inputs.split(',')[0]}")
    say(f"{len(manifest.files)} Arrow files, {size / 1e6:.1f} MB")
    if manifest.without_data:
        say(f"{manifest.without_data} spectra without data: reprocess gives them rows and reasons")
        raise SystemExit(EXIT_QUARANTINED)


if __name__ == "__main__":
    run_app(app)
