"""Numbers that somebody else keeps and a scrape reads: today the ledger's."""

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Reading(NamedTuple):
    """One number. A counter only grows and is shown with `_total`; anything else is a gauge."""

    name: str
    meaning: str
    is_counter: bool
    read: Callable[[], float]


class LedgerReadings(Protocol):
    """The ledger now; counts since start, money in nano-USD."""

    @property
    def open_holds(self) -> int: ...
    @property
    def held_nano(self) -> int: ...
    @property
    def queued(self) -> int: ...
    @property
    def commits(self) -> int: ...
    @property
    def written(self) -> int: ...
    @property
    def bad_debt_nano(self) -> int: ...
    @property
    def leaked_holds(self) -> int: ...
    @property
    def leaked_nano(self) -> int: ...
    @property
    def is_available(self) -> bool: ...


def ledger_readings(read: Callable[[], LedgerReadings]) -> list[Reading]:
    """The ledger's numbers as metrics; `read` is called once for each at each scrape."""
    return [
        Reading("tollway_holds_open", "Holds that are open.", False, lambda: read().open_holds),
        Reading("tollway_held_nano_usd", "Money that open holds reserve.", False, lambda: read().held_nano),
        Reading("tollway_settle_queue_depth", "Ledger writes that wait for a commit.", False, lambda: read().queued),
        Reading("tollway_ledger_commits", "Ledger commits.", True, lambda: read().commits),
        Reading("tollway_ledger_writes", "Ledger writes in those commits.", True, lambda: read().written),
        Reading("tollway_bad_debt_nano_usd", "What wallets could not cover.", True, lambda: read().bad_debt_nano),
        Reading("tollway_leaked_holds", "Holds that only their time ended.", True, lambda: read().leaked_holds),
        Reading("tollway_leaked_nano_usd", "What those holds had reserved.", True, lambda: read().leaked_nano),
        Reading("tollway_ledger_available", "1 when the ledger can be written.", False, lambda: read().is_available),
    ]
