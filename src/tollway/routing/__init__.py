"""Which offer answers, and what follows when it does not: pure decisions, no clock, no network."""
