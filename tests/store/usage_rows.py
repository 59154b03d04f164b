"""Requests written straight into the table, for what no request does yet (assistants, tiers) and for a million of them."""

import random
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from tollway.store.sqlite import open_writer

FIELDS = {
    "id": "", "workspace_id": "", "key_id": "k1", "outcome": "settled", "hold_nano": 0, "charge_nano": 0,
    "bad_debt_nano": 0, "cost_nano": 0, "price_list_id": "p", "margin_bps": 0, "opened_at": 0, "created_at_ms": 0,
    "model_asked": "m1", "model": "m1", "provider": "p1", "offer_id": "o", "status": "ok", "http_status": 200,
    "error_code": "", "is_streamed": 0, "finish_reason": "stop", "input_tokens": 0, "output_tokens": 0,
    "cached_tokens": 0, "reasoning_tokens": 0, "usage_source": "provider", "latency_ms": 0, "ttft_ms": 0, "user_id": "",
    "assistant_id": "", "tier": "",
}  # fmt: skip
_INSERT = f"INSERT INTO generations ({', '.join(FIELDS)}) VALUES ({', '.join('?' * len(FIELDS))})"


def database(folder: Path) -> Path:
    (found,) = folder.glob("*.db")
    return found


def insert(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Each row: the fields that are not as above; `id` must be its own."""
    connection = open_writer(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_INSERT, (tuple((FIELDS | row).values()) for row in rows))
        connection.execute("COMMIT")
    finally:
        connection.close()


def many(workspace_id: str, count: int, seed: int = 1) -> Iterator[dict[str, object]]:
    """Requests two seconds apart, of 8 keys, 12 models, 2 providers and some thousand end users."""
    draw = random.Random(seed)
    for number in range(count):
        charge, is_ok = draw.randrange(10**7), draw.random() < 0.97
        yield {
            "id": f"01a20000-0000-7000-8000-{number:012x}",
            "workspace_id": workspace_id,
            "key_id": f"0190c3f0-0001-7000-8000-{draw.randrange(8):012x}",
            "hold_nano": 2 * charge,
            "charge_nano": charge,
            "cost_nano": charge * 9 // 10,
            "created_at_ms": 1_700_000_000_000 + 2_000 * number,
            "model_asked": "gpt",
            "model": f"openai/gpt-{draw.randrange(12)}",
            "provider": draw.choice(("openai", "azure")),
            "status": "ok" if is_ok else "error",
            "http_status": 200 if is_ok else 502,
            "error_code": "" if is_ok else "upstream_error",
            "input_tokens": draw.randrange(5_000),
            "output_tokens": draw.randrange(2_000),
            "latency_ms": draw.randrange(200, 20_000),
            "user_id": f"user-{int(draw.expovariate(0.01))}",
        }


def rows_of(connection: sqlite3.Connection) -> list[dict[str, object]]:
    """Every row, as a dictionary, oldest first."""
    cursor = connection.execute(f"SELECT seq, {', '.join(FIELDS)} FROM generations ORDER BY created_at_ms, seq")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
