"""Shadow runs as they were: what a second model's answer was worth, and what it cost the operator. No text is kept."""

import sqlite3
from typing import NamedTuple

from tollway.learning.agreement import ShadowRun
from tollway.ledger.transfer import shadow
from tollway.ports import Clock
from tollway.store.ledger import EmbeddedLedger
from tollway.store.reader import Reader

_DAY_MS = 86_400_000
_ADD = """
INSERT INTO shadow_runs (generation_id, model, judge, agreement, score, second_score, cost_nano, at_ms)
SELECT ?, ?, ?, ?, ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM generations WHERE id = ?) ON CONFLICT DO NOTHING
"""
_SPENT = "SELECT coalesce(sum(cost_nano), 0) FROM shadow_runs WHERE at_ms >= ? AND at_ms < ?"
_SUMMED = """
SELECT s.model, g.model, count(*), sum(s.agreement), count(s.score), coalesce(sum(s.score), 0),
       coalesce(sum(s.second_score), 0), sum(s.cost_nano)
FROM shadow_runs AS s JOIN generations AS g ON g.id = s.generation_id
WHERE (? = '' OR g.workspace_id = ?) AND g.created_at_ms >= ? AND g.created_at_ms < ?
GROUP BY s.model, g.model ORDER BY s.model, g.model
"""


class ShadowSum(NamedTuple):
    """Runs of one pair of models: sums over `runs`, of which `judged` were judged. cost_nano: nano-USD."""

    model: str
    served: str
    runs: int
    agreement: int
    judged: int
    score: int
    second_score: int
    cost_nano: int


class ShadowRuns:
    """Where shadow runs are kept, and their cost is booked."""

    def __init__(self, ledger: EmbeddedLedger, reader: Reader, clock: Clock) -> None:
        self._ledger, self._reader, self._clock = ledger, reader, clock

    async def keep(self, run: ShadowRun) -> None:
        """Book what a run cost, then keep it; the same run again changes nothing. Raises LedgerUnavailable."""
        transfer = shadow(f"{run.generation_id}:{run.model}", run.costs)
        if transfer is not None:
            await self._ledger.post(transfer)
        cost = sum(nano for _, nano in run.costs)
        row = (run.generation_id, run.model, run.judge, run.agreement, *(run.scores or (None, None)), cost)
        await self._ledger.execute((_ADD, (*row, int(self._clock.now() * 1000), run.generation_id)))

    async def spent_nano(self, day: int) -> int:
        """What the runs of a UTC day (unix days) have cost, nano-USD."""
        return await self._reader.run(_spent, day)


def _spent(connection: sqlite3.Connection, day: int) -> int:
    found: int = connection.execute(_SPENT, (day * _DAY_MS, (day + 1) * _DAY_MS)).fetchone()[0]
    return found


def shadow_sums(connection: sqlite3.Connection, workspace_id: str, start_ms: int, end_ms: int) -> list[ShadowSum]:
    """Runs of the requests of [start_ms, end_ms), unix ms, by pair of models; workspace_id "": of all."""
    rows = connection.execute(_SUMMED, (workspace_id, workspace_id, start_ms, end_ms))
    return [ShadowSum(*row) for row in rows]
