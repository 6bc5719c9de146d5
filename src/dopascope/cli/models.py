"""`dopascope models`: the saved predictors of this installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dopascope.cli import options
from dopascope.cli.talk import as_json, data, say, verb

app = typer.Typer(help="List, add, inspect, export and remove models (bundles).", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="A model's name, as `models list` shows it.", metavar="NAME")]

PUBLISHED = {
    "dat-spect-ud": "the 25 networks of Buddenkotte and Buchert, from a folder with their weights; needs [learn]"
}
"""Published weights that `add` can convert, by name."""


@app.command("list")
@verb
def list_models(models_dir: options.ModelsDirOption = None, json: options.JsonOption = False) -> None:
    """List the models that are installed.

    Example: dopascope models list
    """
    from dopascope.bundle import store

    found = store.list_models(models_dir)
    if json:
        data(as_json([bundle.summary() for bundle in found]))
        return
    for bundle in found:
        data(f"{bundle.id:<24} {bundle.kind:<12} {bundle.title}  ({bundle.licence})")
    if store.default_readers(models_dir) == [store.SHIPPED_READER]:
        say(f"No reader was added: `read` asks {store.SHIPPED_READER}, which has seen simulated scans only.")
        say("  To add the expert networks: dopascope models add dat-spect-ud FOLDER (docs/models.md)")


@app.command("add")
@verb
def add(
    what: Annotated[
        str,
        typer.Argument(
            help="A bundle folder or zip, an https URL, or the name of published weights: dat-spect-ud.", metavar="WHAT"
        ),
    ],
    folder: Annotated[
        Path | None, typer.Argument(help="The folder with the published weights.", metavar="[FOLDER]")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option("--sha256", help="Digest that a download must have.", metavar="HEX")
    ] = None,
    models_dir: options.ModelsDirOption = None,
) -> None:
    """Add a model. A download needs its sha256; published torch weights are opened in a child process.

    Examples: dopascope models add dat-spect-ud weights/; dopascope models add my-bundle.zip
    """
    if what in PUBLISHED:
        from dopascope.convert import add_dat_spect_ud

        say("Converting the published networks ...")
        added = add_dat_spect_ud(folder, models_dir)
    else:
        from dopascope.bundle import store

        added = [store.add(what, sha256=sha256, models_dir=models_dir)]
    for bundle in added:
        data(f"added {bundle.id}: {bundle.title} ({bundle.licence})")


@app.command("inspect")
@verb
def inspect(name: NameArgument, models_dir: options.ModelsDirOption = None) -> None:
    """Print a model's bundle.json after checking every hash.

    Example: dopascope models inspect dat-spect-ud
    """
    from dopascope.bundle import store

    data(as_json(store.inspect(name, models_dir)))


@app.command("export")
@verb
def export(
    name: NameArgument,
    target: Annotated[Path, typer.Argument(help="A new folder, or a name that ends in .zip.", metavar="TARGET")],
    models_dir: options.ModelsDirOption = None,
) -> None:
    """Copy a model out, to carry it to another machine.

    Example: dopascope models export dat-spect-ud dat-spect-ud.zip
    """
    from dopascope.bundle import store

    data(str(store.export(name, target, models_dir)))


@app.command("remove")
@verb
def remove(name: NameArgument, models_dir: options.ModelsDirOption = None) -> None:
    """Remove a model from this installation.

    Example: dopascope models remove dat-spect-ud
    """
    from dopascope.bundle import store

    store.remove(name, models_dir)
    data(f"removed {name}")
