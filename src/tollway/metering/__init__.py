"""What was used and what it costs.

Owns: the canonical usage record, its extraction from any provider's reply, worst-case estimates, rating, event framing.
Does not own: prices (catalogue), who pays (ledger), sockets (providers).
Invariants: unit counts are disjoint and non-negative; input units add up to the provider's input total; one rounding per
request.
"""
