"""The embedded store: one data folder, opened by one process, behind one facade."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

from tollway.ledger.book import Book
from tollway.plans.source import PlanSource
from tollway.ports import Clock, Ids
from tollway.store.activity import Activities
from tollway.store.alerts import Alerts
from tollway.store.bootstrap import FirstStart, bootstrap, is_done
from tollway.store.checkpoint import Checkpointer
from tollway.store.deliveries import Deliveries
from tollway.store.feedback import Feedback
from tollway.store.folder import DataFolder
from tollway.store.generations import Generations
from tollway.store.idempotency import Idempotency
from tollway.store.ledger import EmbeddedLedger
from tollway.store.people import People
from tollway.store.plans import Plans
from tollway.store.presets import Presets
from tollway.store.profiles import Profiles
from tollway.store.reader import Reader
from tollway.store.recovery import Leakage, recover
from tollway.store.shadow import ShadowRuns
from tollway.store.snapshot import Snapshot, load
from tollway.store.sqlite import migrate, open_writer
from tollway.store.usage import Usage
from tollway.store.wallets import Wallets
from tollway.store.webhooks import Webhooks
from tollway.store.workspaces import Workspaces
from tollway.store.writer import Writer


class EmbeddedStore:
    """Everything that is kept. Open it inside a running event loop, which then owns it; close it to drain.

    ledger: `ports.Ledger`. workspaces: `ports.Directory`, and changes to who there is. plans: what organizations may do.
    profiles, presets: rules of routing with the aliases of models, and sets of parameters.
    wallets: credit, transfer, history. generations: what was asked; usage, activity: sums and lists of it. feedback: ratings
    of it. idempotency: stored replies. webhooks, alerts, deliveries: what is told, to whom, and how far it has come.
    recovered: what a crash had left.
    """

    def __init__(self, folder: DataFolder, *, clock: Clock, ids: Ids) -> None:
        """Use `open`."""
        self.folder, self.clock, self.ids = folder, clock, ids
        self.reader: Reader
        self.ledger: EmbeddedLedger
        self.workspaces: Workspaces
        self.plans: Plans
        self.profiles: Profiles
        self.presets: Presets
        self.people: People
        self.wallets: Wallets
        self.generations: Generations
        self.usage: Usage
        self.activity: Activities
        self.feedback: Feedback
        self.shadow: ShadowRuns
        self.idempotency: Idempotency
        self.webhooks: Webhooks
        self.alerts: Alerts
        self.deliveries: Deliveries
        self.recovered = Leakage(0, 0)
        self._snapshot: Snapshot
        self._writer: Writer[Snapshot]
        self._checkpointer: Checkpointer

    @classmethod
    async def open(
        cls,
        data_dir: Path,
        *,
        clock: Clock,
        ids: Ids,
        random_bytes: Callable[[int], bytes],
        pepper: bytes | None = None,
        connect: Callable[[Path], sqlite3.Connection] = open_writer,
        plans: PlanSource | None = None,
    ) -> "EmbeddedStore":
        """Lock the folder, bring the schema up to date, end what a crash left, and read the book.

        Args:
            pepper: from the environment; None: the folder's own, made at first.
            random_bytes: `n` bytes of a cryptographic source.
            connect: opens a write connection; a test gives one that fails.
            plans: what is sold; None: the reference catalogue.

        Raises:
            FolderInUse: another process owns the folder.
            ConfigurationError: the database or the pepper is not ours to use.
        """
        store = cls(DataFolder(data_dir), clock=clock, ids=ids)
        store.folder.lock()
        try:
            store._open(pepper or store.folder.pepper(random_bytes), random_bytes, connect, plans or PlanSource())
        except BaseException:
            store.folder.unlock()
            raise
        return store

    def _open(
        self,
        pepper: bytes,
        random_bytes: Callable[[int], bytes],
        connect: Callable[[Path], sqlite3.Connection],
        plans: PlanSource,
    ) -> None:
        path, clock = self.folder.database, self.clock
        connection = connect(path)
        migrate(connection, int(clock.now()))
        self.recovered = recover(connection)

        def read(source: sqlite3.Connection) -> Snapshot:
            return load(source, int(clock.now()) // 86_400)

        self.reader = Reader(path)
        self._writer = Writer(
            lambda: connect(path), read, loop=asyncio.get_running_loop(), on_down=self._down, on_up=self._up
        )
        self._snapshot = read(connection)
        self.ledger = EmbeddedLedger(self._writer, self._snapshot, self.reader, clock)
        self.ledger.leaked = self.recovered
        self.workspaces = Workspaces(
            connection, self.ledger, clock=clock, ids=self.ids, pepper=pepper, random_bytes=random_bytes
        )
        self.plans = Plans(
            connection,
            self.ledger,
            self.reader,
            clock=clock,
            source=plans,
            organizations=lambda: self.workspaces.organizations,
        )
        self.profiles = Profiles(connection, self.ledger, self.workspaces, clock=clock, ids=self.ids)
        self.presets = Presets(connection, self.ledger, self.workspaces, self.profiles, clock=clock)
        self.people = People(
            connection,
            self.ledger,
            self.reader,
            clock=clock,
            ids=self.ids,
            pepper=pepper,
            random_bytes=random_bytes,
            require_room=self.plans.require_room,
        )
        self._open_alerts(connection, random_bytes)
        connection.close()
        self.wallets = Wallets(self.ledger, self.workspaces, self.reader, self.ids)
        self.generations = Generations(self.reader)
        self.usage = Usage(self.reader)
        self.activity = Activities(self.reader)
        self.feedback = Feedback(self.ledger, self.reader, clock)
        self.shadow = ShadowRuns(self.ledger, self.reader, clock)
        self.idempotency = Idempotency(path, self.ledger)
        self._writer.start()
        self._checkpointer = Checkpointer(lambda: open_writer(path), lambda: self._writer.written)
        self._checkpointer.start()

    def _open_alerts(self, connection: sqlite3.Connection, random_bytes: Callable[[int], bytes]) -> None:
        """Who is told of what."""
        clock, ids = self.clock, self.ids
        self.webhooks = Webhooks(
            connection, self.ledger, self.workspaces, clock=clock, ids=ids, random_bytes=random_bytes
        )
        self.workspaces.tell, self.plans.tell = self.webhooks.about_key, self.webhooks.about_plan
        self.alerts = Alerts(connection, self.ledger, self.reader, self.webhooks, clock=clock, ids=ids)
        self.deliveries = Deliveries(self.ledger, self.reader, self.webhooks, self.alerts, clock)

    def book(self) -> Book:
        """The book as it stands, to be read and not changed; another one after a failed write."""
        return self._snapshot.book

    async def bootstrap(self, grant_nano: int) -> FirstStart | None:
        """Make what a fresh installation needs; None if that was done before. See `bootstrap.bootstrap`."""
        if await self.reader.run(is_done):
            return None
        return await bootstrap(self.ledger, self.workspaces, self.plans, grant_nano, int(self.clock.now()))

    async def sweep(self, now: int) -> Leakage:
        """What must be done every half minute or so: end overdue holds, drop what is old. `now`: unix seconds."""
        leaked = await self.ledger.sweep(now)
        self.idempotency.purge(now)
        await self.people.purge(now)
        await self.workspaces.purge(now)
        return leaked

    def _down(self, reason: str) -> None:
        del reason
        self.ledger.went_down()

    def _up(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.ledger.came_up(snapshot)

    async def close(self) -> None:
        """Write what is queued, close every connection, give the folder up."""
        await asyncio.to_thread(self._checkpointer.close)
        await self._writer.close()
        self.idempotency.close()
        self.reader.close()
        self.folder.unlock()
