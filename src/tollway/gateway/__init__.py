"""The road of one request: admit, route, estimate, hold, call, meter, settle.

Owns: the order of the stops, attempts and fallbacks, what a caller pays in each outcome (money.md R8).
Does not own: SQL (store), sockets (providers), HTTP to the caller (api), arithmetic (metering).
Invariants: one hold per request; every hold ends in exactly one settle or void; nothing final is said to the caller before
the ledger has it; a caller who hangs up stops the upstream but not the accounting.
"""
