"""Alerts: what each workspace wants to be told, what it was told, and the mails that are due.

What was told is in memory and in a table whose unique rows are the last word: neither a restart nor a race tells the
same threshold of a window twice.
"""

import json
import re
import sqlite3
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from tollway.alerts.alert import MAIL_DELAYS_S, Alert
from tollway.alerts.events import plain
from tollway.alerts.thresholds import DEFAULTS, AlertSettings, checked_percents
from tollway.errors import InvalidField, LedgerUnavailable, ValidationFailed
from tollway.jsontypes import JSONObject
from tollway.money.amount import NANO_MAX
from tollway.ports import Clock, Ids
from tollway.store.ledger import EmbeddedLedger
from tollway.store.reader import Reader
from tollway.store.sqlite import Params, Row
from tollway.store.webhooks import Webhooks

_ID = re.compile(r"[0-9a-f-]{36}", re.ASCII)
_TOLD_DAYS = 40
"""No window of time that is still counted began earlier, but for a lifetime, which began at 0."""
_SETTINGS = """
SELECT workspace_id, budget_percent, tokens_percent, storage_percent, low_balance_nano, email FROM alert_settings
"""
_SET = """
INSERT INTO alert_settings (workspace_id, budget_percent, tokens_percent, storage_percent, low_balance_nano, email)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (workspace_id) DO UPDATE SET
  budget_percent = excluded.budget_percent, tokens_percent = excluded.tokens_percent,
  storage_percent = excluded.storage_percent, low_balance_nano = excluded.low_balance_nano, email = excluded.email
"""
_TOLD = """
SELECT subject, window_start, is_level, threshold FROM alerts
WHERE CASE WHEN is_level THEN cleared_at IS NULL ELSE window_start = 0 OR window_start >= ? END
"""
_FIRE = """
INSERT INTO alerts (id, workspace_id, kind, subject, threshold, window_start, is_level, data, mail, mail_at,
                    created_at_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_CLEAR = "UPDATE alerts SET cleared_at = ? WHERE subject = ? AND threshold = ? AND is_level AND cleared_at IS NULL"
_COLUMNS = "id, workspace_id, kind, subject, threshold, window_start, data, mail, mail_tries, created_at_ms, cleared_at"
_MAILED = "UPDATE alerts SET mail = ?, mail_tries = ?, mail_at = ? WHERE id = ? AND mail = 'due'"


class Subject(NamedTuple):
    """What thresholds are about, in one window.

    name: the same for ever. window_start: unix seconds. is_level: a balance or a storage, which has no window of time;
    `window_start` is ignored then.
    """

    name: str
    kind: str
    workspace_id: str
    window_start: int = 0
    is_level: bool = False


class AlertPage(NamedTuple):
    """Alerts, newest first. next_cursor: hand it in as `after`; "" at the end."""

    alerts: list[Alert]
    next_cursor: str


class Alerts:
    """See the module. All methods belong to the event loop's thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        ledger: EmbeddedLedger,
        reader: Reader,
        webhooks: Webhooks,
        *,
        clock: Clock,
        ids: Ids,
    ) -> None:
        """`connection` is read from once, here."""
        self._ledger, self._reader, self._webhooks = ledger, reader, webhooks
        self._clock, self._ids = clock, ids
        self._settings = {row[0]: _settings(row) for row in connection.execute(_SETTINGS)}
        self._told: dict[tuple[str, int], set[int]] = {}
        since = int(clock.now()) - _TOLD_DAYS * 86_400
        for subject, window_start, is_level, threshold in connection.execute(_TOLD, (since,)):
            self._told.setdefault((subject, -1 if is_level else window_start), set()).add(threshold)

    # --- settings ---

    def settings(self, workspace_id: str) -> AlertSettings:
        """What a workspace wants to be told; the defaults if it has said nothing."""
        return self._settings.get(workspace_id, DEFAULTS)

    async def set_settings(self, workspace_id: str, settings: AlertSettings) -> AlertSettings:
        """Keep what a workspace wants to be told. Raises ValidationFailed: a number is out of range."""
        if not 0 <= settings.low_balance_nano <= NANO_MAX:
            raise ValidationFailed("`low_balance_usd` is an amount of USD, zero or more.", param="low_balance_usd")
        kept = msgspec.structs.replace(
            settings,
            budget_percent=checked_percents(settings.budget_percent, "budget_percent"),
            tokens_percent=checked_percents(settings.tokens_percent, "tokens_percent"),
            storage_percent=checked_percents(settings.storage_percent, "storage_percent"),
        )
        lists = (json.dumps(one) for one in (kept.budget_percent, kept.tokens_percent, kept.storage_percent))
        await self._ledger.execute((_SET, (workspace_id, *lists, kept.low_balance_nano, int(kept.email))))
        self._settings[workspace_id] = kept
        return kept

    # --- telling ---

    def told(self, subject: Subject) -> frozenset[int]:
        """The thresholds of a subject that were told in its window, or since a level was last on the other side."""
        return frozenset(self._told.get(_window(subject), ()))

    async def fire(
        self,
        subject: Subject,
        thresholds: Iterable[int],
        data: Callable[[int], msgspec.Struct],
        mailed: int | None = None,
    ) -> int:
        """Tell thresholds in this order, each once; how many were new. Returns when they are on disk.

        Args:
            subject: what they are about.
            thresholds: percent, or nano-USD.
            data: threshold -> data of its event.
            mailed: the one that is mailed, when several were passed at once and one mail says it all; None: each.

        Raises:
            LedgerUnavailable: not written; it will be told when it is looked at again.
        """
        told = self._told.setdefault(_window(subject), set())
        new = [one for one in thresholds if one not in told]
        if not new:
            return 0
        told.update(new)
        rows: list[tuple[str, Params]] = []
        for one in new:
            rows += self.statements(subject, one, data(one), is_mailed=mailed in {None, one})
        try:
            await self._ledger.execute(*rows)
        except LedgerUnavailable:
            told.difference_update(new)
            raise
        return len(new)

    def statements(
        self, subject: Subject, threshold: int, data: msgspec.Struct, *, is_mailed: bool = True, without: str = ""
    ) -> list[tuple[str, Params]]:
        """The rows of one alert, its event and its deliveries; written only if nobody was told before.

        `without`: an endpoint that is not told.
        """
        event = self._webhooks.event(subject.kind, subject.workspace_id, data, self._ids.new())
        at = event.created_at_ms // 1000
        wants_mail = is_mailed and self.settings(subject.workspace_id).email
        row = (
            event.id,
            subject.workspace_id,
            subject.kind,
            subject.name,
            threshold,
            at if subject.is_level else subject.window_start,
            int(subject.is_level),
            json.dumps(plain(data)),
            "due" if wants_mail else "none",
            at,
            event.created_at_ms,
        )
        return [(_FIRE, row), *self._webhooks.statements(event, alert_id=event.id, without=without)]

    async def clear(self, subject: Subject, thresholds: Iterable[int]) -> None:
        """A level is on the other side of these again: they may be told once more. Raises LedgerUnavailable."""
        known = self._told.get(_window(subject), set())
        gone = [one for one in thresholds if one in known]
        if gone:
            now = int(self._clock.now())
            await self._ledger.execute(*((_CLEAR, (now, subject.name, one)) for one in gone))
            known.difference_update(gone)

    def forget_before(self, now: int) -> None:
        """Drop from memory what was told of windows that are over. `now`: unix seconds."""
        since = now - _TOLD_DAYS * 86_400
        for window in [one for one in self._told if 0 < one[1] < since]:
            del self._told[window]

    # --- looking ---

    async def recent(self, workspace_id: str, *, limit: int, after: str = "", kind: str = "") -> AlertPage:
        """The alerts of a workspace, newest first; of one kind, or all.

        `after`: the id of the last one seen. Raises InvalidField: it is no id.
        """
        check_cursor(after)
        found = await self._reader.run(_recent, workspace_id, limit + 1, after, kind)
        return AlertPage(found[:limit], found[limit - 1].id if len(found) > limit else "")

    async def to_mail(self, limit: int) -> list[Alert]:
        """Alerts whose mail is due, oldest first."""
        return await self._reader.run(_to_mail, int(self._clock.now()), limit)

    async def mailed(self, alert: Alert, *, is_sent: bool) -> None:
        """A mail was handed over, or could not be: it is tried again, and given up in the end."""
        tries = alert.mail_tries + 1
        now = int(self._clock.now())
        if is_sent or tries > len(MAIL_DELAYS_S):
            row = ("sent" if is_sent else "failed", tries, now, alert.id)
        else:
            row = ("due", tries, now + MAIL_DELAYS_S[tries - 1], alert.id)
        await self._ledger.execute((_MAILED, row))


def check_cursor(after: str) -> None:
    """Refuse a cursor that cannot be one of ours; "" is none. Raises InvalidField."""
    if after and not _ID.fullmatch(after):
        raise InvalidField("This cursor is not one of ours. Hand in `next_cursor` as it came.", param="after")


def _window(subject: Subject) -> tuple[str, int]:
    return subject.name, -1 if subject.is_level else subject.window_start


def _settings(row: Row) -> AlertSettings:
    _, budget, tokens, storage, low_balance, email = row
    return AlertSettings(
        budget_percent=tuple(json.loads(budget)),
        tokens_percent=tuple(json.loads(tokens)),
        storage_percent=tuple(json.loads(storage)),
        low_balance_nano=low_balance,
        email=bool(email),
    )


def _recent(connection: sqlite3.Connection, workspace_id: str, limit: int, after: str, kind: str) -> list[Alert]:
    text = (
        f"SELECT {_COLUMNS} FROM alerts WHERE workspace_id = ? AND (? = '' OR id < ?) AND (? = '' OR kind = ?) "  # noqa: S608 - our own columns
        "ORDER BY id DESC LIMIT ?"
    )
    return [_alert(row) for row in connection.execute(text, (workspace_id, after, after, kind, kind, limit))]


def _to_mail(connection: sqlite3.Connection, now: int, limit: int) -> list[Alert]:
    text = f"SELECT {_COLUMNS} FROM alerts WHERE mail = 'due' AND mail_at <= ? ORDER BY mail_at LIMIT ?"  # noqa: S608 - as above
    return [_alert(row) for row in connection.execute(text, (now, limit))]


def _alert(row: Row) -> Alert:
    name, workspace_id, kind, subject, threshold, start, data, mail, tries, created, cleared = row
    told: JSONObject = json.loads(data)
    return Alert(
        id=name,
        workspace_id=workspace_id,
        kind=kind,
        subject=subject,
        threshold=threshold,
        window_start=start,
        data=told,
        mail=mail,
        mail_tries=tries,
        created_at_ms=created,
        cleared_at=cleared,
    )
