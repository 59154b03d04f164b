"""Where a command acts: on the store itself when nobody owns it, else through the server that does.

One process owns a data folder and keeps wallets in memory, so nothing may be written behind its back. A command that
changes something first tries to become the owner; if a server is, it is asked over HTTP, with the credential it left in
the folder. Commands that only look read the database beside the owner.
"""

import asyncio
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tollway.commands import Outside
from tollway.errors import ConfigurationError
from tollway.jsontypes import JSON, JSONObject
from tollway.settings import Settings
from tollway.store.folder import DATABASE, FolderInUse
from tollway.store.sqlite import check_version, open_reader

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator

    from tollway.store import EmbeddedStore

CONTROL = "server.json"
_TIMEOUT_S = 30.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""The server is on this machine: no proxy from the environment may see its credential."""


@contextmanager
def looking(settings: Settings) -> "Generator[sqlite3.Connection, None, None]":
    """A read-only connection to the ledger, whoever owns it.

    Raises:
        ConfigurationError: there is no ledger, or one that this program does not know.
    """
    connection = open_reader(Path(settings.data.folder) / DATABASE)
    try:
        check_version(connection)
        yield connection
    finally:
        connection.close()


def act(
    settings: Settings,
    outside: Outside,
    here: "Callable[[EmbeddedStore], Awaitable[JSONObject]]",
    *,
    method: str,
    path: str,
    body: JSONObject | None = None,
) -> JSONObject:
    """Change something: `here` on the store if nobody owns it, else `method path body` at the server that does.

    Both give the `data` of the admin API's reply, and what stands beside it.

    Raises:
        ConfigurationError: there is no ledger here, or its owner cannot be asked.
        TollwayError: refused, when it was done here; ClickException: refused by the server.
    """
    folder = Path(settings.data.folder)
    with looking(settings):
        pass  # a mistyped folder must not become a new installation
    try:
        return asyncio.run(_here(settings, outside, here))
    except FolderInUse as owned:
        return _ask(folder, owned, method, path, body)


async def _here(
    settings: Settings, outside: Outside, here: "Callable[[EmbeddedStore], Awaitable[JSONObject]]"
) -> JSONObject:
    from tollway.app import SystemClock, SystemIds
    from tollway.settings.plans import plans_of
    from tollway.store import EmbeddedStore

    pepper = outside.environment.get("TOLLWAY_PEPPER", "").encode() or None
    store = await EmbeddedStore.open(
        Path(settings.data.folder),
        clock=SystemClock(),
        ids=SystemIds(),
        random_bytes=os.urandom,
        pepper=pepper,
        plans=plans_of(settings),
    )
    try:
        return await here(store)
    finally:
        await store.close()


def _ask(folder: Path, owned: FolderInUse, method: str, path: str, body: JSONObject | None) -> JSONObject:
    control = _control(folder, owned)
    request = urllib.request.Request(  # noqa: S310 - the URL is the one our own server wrote
        control["url"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {control['token']}", "content-type": "application/json"},
    )
    try:
        with _OPENER.open(request, timeout=_TIMEOUT_S) as response:
            return _object(response.read())
    except urllib.error.HTTPError as error:
        with error:
            raise click.ClickException(_message(error.read(), error.code)) from None
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(owned, f"it does not answer at {control['url']}: {type(error).__name__}") from None


def _control(folder: Path, owned: FolderInUse) -> dict[str, str]:
    try:
        found = _object((folder / CONTROL).read_bytes())
    except (OSError, ValueError):
        raise _unreachable(owned, f"it has left no {CONTROL}; it may be starting, or be another command") from None
    return {name: str(found[name]) for name in ("url", "token")}


def _unreachable(owned: FolderInUse, problem: str) -> ConfigurationError:
    return ConfigurationError(
        file=owned.file,
        line=None,
        key=owned.key,
        problem=f"{owned.problem}, and {problem}",
        fix="try again, or stop it",
    )


def _object(text: bytes) -> JSONObject:
    found: JSON = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - as any other text that is not what it should be
    return found


def _message(text: bytes, status: int) -> str:
    try:
        error = _object(text)["error"]
        return str(error["message"]) if isinstance(error, dict) else f"the server answered {status}"
    except (ValueError, KeyError):
        return f"the server answered {status}"
