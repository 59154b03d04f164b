"""Whose a request is, for the operator at the command line, who knows only its id."""

import sqlite3

_WORKSPACE = "SELECT workspace_id FROM generations WHERE id = ?"


def workspace_of(connection: sqlite3.Connection, generation_id: str) -> str | None:
    """The workspace of a request that has ended, None if there is none of that id."""
    row = connection.execute(_WORKSPACE, (generation_id,)).fetchone()
    return None if row is None else str(row[0])
