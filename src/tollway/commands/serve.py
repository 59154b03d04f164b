"""`tollway serve`: the settings, then the server."""

import click

from tollway.commands.options import outside_of
from tollway.settings import load_settings


@click.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65_535), metavar="PORT", help="Port; 0 takes a free one.  [default: 8080]"
)
@click.option("--data", metavar="DIR", help="Folder of the ledger.  [default: ./tollway-data]")
@click.option("--workers", type=int, metavar="N", help="Processes; this version runs one.  [default: 1]")
@click.option("--config", metavar="FILE", help="Settings file.  [default: tollway.toml, if there is one]")
@click.pass_context
def command(
    context: click.Context,
    *,
    host: str | None,
    port: int | None,
    data: str | None,
    workers: int | None,
    config: str | None,
) -> int:
    """Run the gateway.

    On the first start it makes its data folder, a workspace, a wallet and a key, and prints the key once.
    Ctrl-C lets running requests finish.
    """
    environment = outside_of(context).environment
    flags = {"server.host": host, "server.port": port, "data.folder": data, "server.workers": workers}
    settings = load_settings(config=config, environment=environment, flags=flags)
    # Imported last: a mistake in the settings is told without waiting for the server's modules.
    from tollway.process import serve

    return serve(settings, environment)
