"""SQL and nothing but SQL: the embedded store behind the ports.

Owns: the schema and its migrations, the one write connection and its thread, group commit, recovery, and every query.
Does not own: rules of money (ledger), HTTP (api), what a request costs (metering). Invariants: one process owns a data
folder (a lock file says so); what was acknowledged is on disk; a failed write fails every request behind it and never
loses or doubles one.
"""

from tollway.store.embedded import EmbeddedStore

__all__ = ["EmbeddedStore"]
