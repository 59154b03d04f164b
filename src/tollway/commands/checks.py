"""The checks of `tollway doctor`: each is a function that says what it found; none changes anything."""

import errno
import fcntl
import os
import shutil
import socket
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from tollway.catalogue.load import snapshot_path
from tollway.catalogue.offers import Catalogue, Provider
from tollway.catalogue.snapshot import read_snapshot
from tollway.commands.reach import status_of
from tollway.errors import ConfigurationError
from tollway.providers.local_process import is_installed
from tollway.settings import Settings, unknown_variables
from tollway.settings.plans import plans_of
from tollway.store.folder import DATABASE, LOCK, PEPPER
from tollway.store.sqlite import check_version, migrations, open_reader

PEPPER_VARIABLE = "TOLLWAY_PEPPER"
_MIB = 1024 * 1024
_FREE_LEAST, _FREE_GOOD = 100 * _MIB, 1024 * _MIB
_PRICES_OLD_DAYS = 45
_YEARS = range(2025, 2100)
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was looked at, what was found, and what to do about it ("" if nothing)."""

    level: Level
    what: str
    found: str
    fix: str = ""


def ok(what: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(Level.OK, what, found)


def warn(what: str, found: str, fix: str) -> Finding:
    """It works, but somebody should look at it."""
    return Finding(Level.WARN, what, found, fix)


def fail(what: str, found: str, fix: str) -> Finding:
    """It does not work."""
    return Finding(Level.FAIL, what, found, fix)


def of_error(what: str, error: ConfigurationError) -> Finding:
    """A configuration error as a finding."""
    where = error.file if error.line is None else f"{error.file}:{error.line}"
    return fail(what, f"{where}: {error.key}: {error.problem}", error.fix)


def settings_checks(settings: Settings) -> Iterator[Finding]:
    """The file, who may read the keys in it, and variables that nobody reads."""
    yield ok("settings", settings.file or "defaults; there is no tollway.toml")
    has_secrets = any(provider.key for provider in settings.providers.values()) or settings.server.metrics_key
    if settings.file and has_secrets and Path(settings.file).stat().st_mode & _OTHERS_MAY:
        yield warn("settings", f"{settings.file} has keys in it, and others may read it", f"chmod 600 {settings.file}")
    host = settings.server.host
    if not (host in {"localhost", "::1"} or host.startswith("127.")) and not settings.server.metrics_key:
        yield warn("settings", f"/metrics is open to whoever reaches {host}", "set server.metrics_key")
    for name, near in unknown_variables(settings.environment):
        fix = f"did you mean {near}?" if near else "unset it, if it was meant for Tollway"
        yield warn("settings", f"{name} is set and is no setting", fix)


def plan_checks(settings: Settings) -> Iterator[Finding]:
    """The file of the plans."""
    try:
        found = plans_of(settings).catalogue
        yield ok("plans", f"{found.name}: {', '.join(plan.id for plan in found.plans)}; sign-ups: {found.default_id}")
    except ConfigurationError as error:
        yield of_error("plans", error)


def folder_checks(folder: Path) -> Iterator[Finding]:
    """The data folder: there, ours alone, writable, with room."""
    if not folder.exists():
        parent = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
        if not os.access(parent, os.W_OK | os.X_OK):
            yield fail(
                "data", f"{folder} is not there and cannot be made", "name a folder you may write to, with --data"
            )
            return
        yield ok("data", f"{folder} is not there yet; the first `tollway serve` makes it")
        folder = parent
    elif not folder.is_dir():
        yield fail("data", f"{folder} is not a folder", "name another with --data")
        return
    elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield fail("data", f"{folder} may not be written by this user", "run as its owner, or name another with --data")
    elif folder.stat().st_mode & _OTHERS_MAY:
        yield warn("data", f"{folder} is open to other users", f"chmod 700 {folder}")
    else:
        yield ok("data", f"{folder} is writable")
    free = shutil.disk_usage(folder).free
    said = f"{free // _MIB:,} MiB free"
    if free < _FREE_LEAST:
        yield fail("disk", said, "make room: without it no request is served")
    elif free < _FREE_GOOD:
        yield warn("disk", said, "make room soon")
    else:
        yield ok("disk", said)


def database_checks(settings: Settings) -> Iterator[Finding]:
    """The database opens and its schema is known; there is a pepper, for our eyes only; who owns the folder."""
    folder = Path(settings.data.folder)
    path = folder / DATABASE
    if path.exists():
        yield _database(path)
    if settings.environment.get(PEPPER_VARIABLE):
        yield ok("pepper", f"from {PEPPER_VARIABLE}")
    else:
        yield _pepper(folder, has_database=path.exists())
    owner = owner_of(folder)
    yield ok("lock", f"a running server owns it (process {owner})" if owner else "no server is running")


def _database(path: Path) -> Finding:
    try:
        connection = open_reader(path)
        try:
            check_version(connection)
        finally:
            connection.close()
    except ConfigurationError as error:
        return of_error("database", error)
    except sqlite3.Error as error:
        return fail("database", f"{path}: {error}", "restore it from a backup")
    return ok("database", f"opens; its schema is known (this program has {len(migrations())} steps)")


def _pepper(folder: Path, *, has_database: bool) -> Finding:
    path = folder / PEPPER
    if not path.exists():
        return (
            fail("pepper", f"{path} is gone, so no API key can be checked", "restore it, or make new keys")
            if has_database
            else ok("pepper", "made on the first start")
        )
    state = path.stat()
    if state.st_mode & _OTHERS_MAY:
        return fail("pepper", f"{path} is open to other users", f"chmod 600 {path}")
    return ok("pepper", f"{path} is its owner's alone")


def owner_of(folder: Path) -> str:
    """The process that holds the folder's lock, "" if none does."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(handle, 20).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(handle)
    return ""


def provider_checks(settings: Settings, catalogue: Catalogue) -> Iterator[Finding]:
    """Which providers have a key, by its last four characters; which variables would give the others one."""
    usable = [one for one in catalogue.providers.values() if one.is_usable]
    for provider in usable:
        models = sum(
            any(offer.provider.id == provider.id for offer in model.offers) for model in catalogue.models.values()
        )
        yield ok(f"provider {provider.id}", f"{_credential(provider)}, {models} models")
    for name, said in settings.providers.items():
        if said.enabled and said.key_env and not settings.environment.get(said.key_env):
            yield warn(f"provider {name}", f"{said.key_env} is not set", f"export {said.key_env}=...")
    if is_installed():
        yield ok("local model", "installed; `tollway serve` starts it")
    if not any(one.key for one in usable):
        wanted = sorted(one.wire.secret for one in catalogue.providers.values() if one.wire.secret and one.wire.url)
        fix = f"set one of {', '.join(wanted)}"
        yield warn("providers", "no provider key is set: only models that need none answer", fix)


def _credential(provider: Provider) -> str:
    if not provider.key:
        return "needs no key"
    # Of a short key, four characters would be too much.
    tail = provider.key[-4:] if len(provider.key) >= 12 else ""
    return f"key ...{tail}"


def price_checks(settings: Settings, catalogue: Catalogue, now: float) -> Iterator[Finding]:
    """How many offers that can be called have a price, and how old the prices are."""
    offers = [offer for model in catalogue.models.values() for offer in model.offers if offer.provider.is_usable]
    priced = [offer for offer in offers if offer.price_list(int(now)) is not None]
    missing = len(offers) - len(priced)
    said = f"{len(priced)} of {len(offers)} offers that can be called have a price"
    without = {str(offer.provider.id) for offer in offers} - {str(offer.provider.id) for offer in priced}
    if without:
        fix = f"nothing at {', '.join(sorted(without))} can be paid from a wallet: give it prices"
        yield warn("prices", said, fix)
    else:
        yield ok("prices", said + (f"; {missing} cannot be paid from a wallet" if missing else ""))
    snapshot = read_snapshot(snapshot_path(Path(settings.data.folder)))
    days = (datetime.fromtimestamp(now, UTC).date() - date.fromisoformat(snapshot.generated)).days
    said = f"{snapshot.package}, read {snapshot.generated} ({days} days ago)"
    if days > _PRICES_OLD_DAYS:
        yield warn("prices", said, "run `tollway prices update`")
    else:
        yield ok("prices", said)


def clock_checks(folder: Path, now: float) -> Iterator[Finding]:
    """The year is plausible, and nothing on disk was written in the future. The time zone does not matter."""
    at = datetime.fromtimestamp(now, UTC)
    said = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    written = [path.stat().st_mtime for path in folder.glob(f"{DATABASE}*")]
    if at.year not in _YEARS:
        yield fail("clock", said, "set this machine's clock: budgets and prices go by the date")
    elif written and max(written) > now + 60:
        ahead = int(max(written) - now)
        yield fail(
            "clock", f"{said}; the ledger was last written {ahead} s later than that", "set this machine's clock"
        )
    else:
        yield ok("clock", said)


class _Control(msgspec.Struct):
    """What a running server leaves in the folder; its token is not read here."""

    url: str
    pid: int = 0


def port_checks(settings: Settings) -> Iterator[Finding]:
    """The port is free, or this installation's own server answers on it."""
    folder, host, port = Path(settings.data.folder), settings.server.host, settings.server.port
    if owner_of(folder):
        try:
            url = msgspec.json.decode((folder / "server.json").read_bytes(), type=_Control).url
        except (OSError, msgspec.DecodeError):
            yield warn("server", "it runs, but does not say where", "it may be starting; try again")
            return
        status = status_of(f"{url}/healthz")
        if status == 200:
            yield ok("server", f"answers at {url}")
        else:
            yield fail("server", f"does not answer at {url}: {status}", "look at its log, or restart it")
        return
    reason = _why_not_bindable(host, port)
    where = f"{host}:{port}"
    if reason is None:
        yield ok("port", f"{where} is free" if port else "any free port is taken")
    else:
        yield fail("port", f"{where}: {reason}", "choose another with --port or --host")


def _why_not_bindable(host: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As the server does, so that connections of a server that has just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except socket.gaierror:
            return "this machine has no such address"
        except OSError as error:
            known = {errno.EADDRINUSE: "another program listens there", errno.EACCES: "this user may not take it"}
            return known.get(error.errno or 0, os.strerror(error.errno or 0))
    return None
