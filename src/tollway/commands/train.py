"""`tollway train`: the router's weights, made again from data."""

import pathlib

import click

from tollway.commands.bench import data_option, folder_of, require_numpy


@click.command()
@data_option
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=pathlib.Path),
    default="classifier.msgpack",
    metavar="FILE",
    help="Where the weights go.  [default: classifier.msgpack]",
)
@click.option(
    "--check", "is_check", is_flag=True, help="Write nothing; compare with the packaged weights, exit 1 if they differ."
)
def command(*, data: pathlib.Path | None, out: pathlib.Path, is_check: bool) -> None:
    r"""Train the classifier of `auto` on the training files of a folder; a quarter of a minute.

    The same data gives the same file, byte for byte, with the same release of numpy; the file says what it was made of.

    \b
      tollway train --data ../shared/data/routing --check
      tollway train --data my-data --out classifier.msgpack
    """
    require_numpy()
    import msgspec

    from tollway.routing.weights import packaged
    from tollway.training.data import Folder
    from tollway.training.heads import train

    weights = train(Folder(folder_of(data)), "tollway train")
    packed = msgspec.msgpack.encode(weights)
    if is_check:
        known = packaged()
        is_same = known is not None and msgspec.msgpack.encode(known) == packed
        click.echo("the packaged weights are these" if is_same else "the packaged weights are others")
        raise SystemExit(0 if is_same else 1)
    out.write_bytes(packed)
    click.echo(f"{out}: {len(packed):,} bytes, {len(weights.features):,} features, temperature {weights.temperature:g}")
