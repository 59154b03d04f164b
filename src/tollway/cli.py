"""The command line: the list of commands, each imported only when it is run, and how errors leave the program.

Exit codes: 0 done; 1 refused, or something was found wrong; 2 wrong usage or configuration; 130 interrupted.
"""

import difflib
import importlib
import os
import sys
import time
from collections.abc import Sequence

import click

from tollway import __version__
from tollway.commands import Outside
from tollway.errors import ConfigurationError, TollwayError

COMMANDS = {
    "serve": "Run the gateway.",
    "doctor": "Check settings, data, keys, prices, clock and port.",
    "estimate": "What requests to a model would cost.",
    "compare": "What the same requests would cost on many models.",
    "models": "Models: list, show, compare.",
    "route": "Which model would answer a prompt, and why.",
    "prices": "The price catalogue: list, show, check, diff, update.",
    "wallet": "Wallets: show, credit, transfer, transactions.",
    "keys": "API keys: create, list, update, rotate, revoke, ...",
    "profiles": "Routing profiles: list, show, create, update, delete.",
    "presets": "Presets of model and parameters: list, show.",
    "aliases": "Aliases of models: list, show.",
    "orgs": "Organizations: list, create, rename.",
    "workspaces": "Workspaces: list, create, rename, delete, restore, export.",
    "members": "People of an organization: list, invite, role, remove.",
    "plans": "Plans: list, show, check, diff, of, set, override, migrate.",
    "webhooks": "Webhooks: list, deliveries, replay.",
    "usage": "What was used: by time, key, model and more.",
    "routing": "Routing: report.",
    "replay": "What past requests would have cost at other terms.",
    "bench": "What routing is worth, measured: routing.",
    "train": "Train the classifier of `auto` on data.",
    "receipt": "How the charge of one request came about.",
    "audit": "Prove that the ledger adds up.",
    "version": "Print the version.",
}
"""Command -> its line in `--help`; `tollway.commands.<name>` has it as `command`."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for, so that `--help` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        found: object = importlib.import_module(f"tollway.commands.{cmd_name}").command
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(COMMANDS)}"
            ctx.fail(f"there is no command `{name}`; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Settings come from flags, TOLLWAY_* variables and tollway.toml, in this order.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Tollway: your own LLM gateway, with the meter and the till built in."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code. `arguments` are those of the process if None."""
    outside = Outside(os.environ, time.time)
    try:
        result: object = cli.main(arguments, prog_name="tollway", standalone_mode=False, obj=outside)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        return 130
    except ConfigurationError as error:
        click.echo(f"tollway: {error}", err=True)
        return 2
    except TollwayError as error:
        click.echo(f"tollway: {error.message}", err=True)
        return 1
    except BrokenPipeError:
        # Whoever read our output has seen enough (`| head`); Python must not complain about it when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return result if isinstance(result, int) else 0
